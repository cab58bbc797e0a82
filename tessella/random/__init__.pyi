from tessella.random.distributions import (
    bernoulli as bernoulli,
)
from tessella.random.distributions import (
    beta as beta,
)
from tessella.random.distributions import (
    bits as bits,
)
from tessella.random.distributions import (
    categorical as categorical,
)
from tessella.random.distributions import (
    cauchy as cauchy,
)
from tessella.random.distributions import (
    choice as choice,
)
from tessella.random.distributions import (
    dirichlet as dirichlet,
)
from tessella.random.distributions import (
    exponential as exponential,
)
from tessella.random.distributions import (
    fold_in as fold_in,
)
from tessella.random.distributions import (
    gamma as gamma,
)
from tessella.random.distributions import (
    gumbel as gumbel,
)
from tessella.random.distributions import (
    key as key,
)
from tessella.random.distributions import (
    laplace as laplace,
)
from tessella.random.distributions import (
    logistic as logistic,
)
from tessella.random.distributions import (
    normal as normal,
)
from tessella.random.distributions import (
    permutation as permutation,
)
from tessella.random.distributions import (
    poisson as poisson,
)
from tessella.random.distributions import (
    split as split,
)
from tessella.random.distributions import (
    truncated_normal as truncated_normal,
)
from tessella.random.distributions import (
    uniform as uniform,
)
from tessella.random.generator import (
    Generator as Generator,
)
from tessella.random.generator import (
    default as default,
)
from tessella.random.sampling import (
    manual_seed as manual_seed,
)
from tessella.random.sampling import (
    rand as rand,
)
from tessella.random.sampling import (
    randint as randint,
)
from tessella.random.sampling import (
    randn as randn,
)
from tessella.random.sampling import (
    randperm as randperm,
)
