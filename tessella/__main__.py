"""`python -m tessella`: the command `tessella`, also where its script is not on the path."""

from tessella.cli import main

if __name__ == "__main__":
    main()
