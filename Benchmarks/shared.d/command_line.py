"""What the command lines of the harnesses have in common."""

import argparse


def names_of(known, kind):
    """Parses a list with commas of names that are `known`."""

    def parse(text):
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {kind} {unknown[0]}; there are {', '.join(known)}")
        return names

    return parse
