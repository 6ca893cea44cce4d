"""The command line: python -m lossprune_lib doctor."""

from __future__ import annotations

import argparse

from lossprune_lib import doctor


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return 0, or 1 where something is amiss."""
    parser = argparse.ArgumentParser(
        prog="python -m lossprune_lib", description="The library behind the pruning workbook, from the command line."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("doctor", help="look at this machine: an OK/FAIL table, each FAIL with its remedy")
    parser.parse_args(arguments)
    table = doctor.check()
    for what, row in table.iterrows():
        print(f"{row['status']:5} {what:17} {row['found']}" + (f"  ->  {row['remedy']}" if row["remedy"] else ""))
    return int((table["status"] == "FAIL").any())


if __name__ == "__main__":
    raise SystemExit(main())
