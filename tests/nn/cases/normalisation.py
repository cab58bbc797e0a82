"""Normalisations: statistics of the batch and running ones, every option, few and odd sizes."""

from .case import Case, case, normal

ROWS, LINE, IMAGE, VOLUME = normal(4, 6), normal(3, 6, 5), normal(2, 6, 3, 4), normal(2, 4, 2, 3, 2)


def evaluated(name, x, **options):
    """A layer with statistics of its own, in evaluation."""

    def prepare(layer):
        layer.train()
        layer(layer.running_mean.new_tensor(x + 1))
        layer.eval()

    return Case(name, (x,), options, prepare=prepare)


CASES = [
    case("BatchNorm1d", ROWS, num_features=6),
    case("BatchNorm1d", LINE, num_features=6, eps=0.1, momentum=0.3),
    case("BatchNorm1d", LINE, num_features=6, momentum=None),
    case("BatchNorm1d", LINE, num_features=6, affine=False),
    case("BatchNorm1d", LINE, num_features=6, track_running_stats=False),
    case("BatchNorm1d", LINE, num_features=6, bias=False),
    case("BatchNorm2d", normal(1, 1, 1, 2), num_features=1),
    case("BatchNorm2d", IMAGE, num_features=6),
    case("BatchNorm3d", VOLUME, num_features=4),
    evaluated("BatchNorm1d", LINE, num_features=6),
    evaluated("BatchNorm2d", IMAGE, num_features=6, momentum=None, affine=False),
    evaluated("BatchNorm3d", VOLUME, num_features=4),
    case("batch_norm", LINE, running_mean=normal(6), running_var=abs(normal(6)), weight=normal(6, seed=3), bias=normal(6, seed=4)),
    case("batch_norm", ROWS, None, None, training=True, eps=0.5),
    case("GroupNorm", LINE, num_groups=3, num_channels=6),
    case("GroupNorm", ROWS, num_groups=2, num_channels=6, eps=0.1, affine=False),
    case("GroupNorm", IMAGE, num_groups=6, num_channels=6, bias=False),
    case("GroupNorm", VOLUME, num_groups=1, num_channels=4),
    case("GroupNorm", normal(0, 4, 3), num_groups=2, num_channels=4),
    case("group_norm", IMAGE, 3, normal(6, seed=3), normal(6, seed=4), eps=0.2),
    case("group_norm", LINE, 2),
    case("InstanceNorm1d", LINE, num_features=6),
    case("InstanceNorm1d", LINE[0], num_features=6, affine=True),
    case("InstanceNorm1d", LINE, num_features=3),
    case("InstanceNorm1d", LINE, num_features=6, track_running_stats=True, momentum=0.4, eps=0.1),
    case("InstanceNorm2d", IMAGE, num_features=6, affine=True, track_running_stats=True),
    case("InstanceNorm2d", IMAGE, num_features=6, affine=True, bias=False),
    case("InstanceNorm2d", IMAGE[0], num_features=6, track_running_stats=True),
    case("InstanceNorm3d", VOLUME, num_features=4, affine=True),
    evaluated("InstanceNorm1d", LINE, num_features=6, track_running_stats=True),
    evaluated("InstanceNorm3d", VOLUME, num_features=4, track_running_stats=True, affine=True),
    case("instance_norm", LINE, running_mean=normal(6), running_var=abs(normal(6)), use_input_stats=False),
    case("instance_norm", IMAGE, weight=normal(6), eps=0.3),
    case("LayerNorm", IMAGE, normalized_shape=4),
    case("LayerNorm", IMAGE, normalized_shape=(3, 4), eps=0.1, bias=False),
    case("LayerNorm", ROWS, normalized_shape=[6], elementwise_affine=False),
    case("LayerNorm", normal(2, 1), normalized_shape=1),
    case("layer_norm", ROWS, (6,), normal(6, seed=3), normal(6, seed=4)),
    case("RMSNorm", LINE, normalized_shape=5),
    case("RMSNorm", IMAGE, normalized_shape=(3, 4), eps=0.1),
    case("RMSNorm", ROWS, normalized_shape=6, elementwise_affine=False),
    case("rms_norm", ROWS, (6,), normal(6, seed=3)),
    case("rms_norm", normal(0, 3), (3,), eps=1e-3),
    case("LocalResponseNorm", LINE, size=3),
    case("LocalResponseNorm", IMAGE, size=4, alpha=0.5, beta=0.3, k=2.0),
    case("local_response_norm", VOLUME, 9, alpha=1.0),
]  # fmt: skip
