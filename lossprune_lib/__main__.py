"""The command line: python -m lossprune_lib doctor, class or study."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossprune_lib import doctor
from lossprune_lib.installation import FROM_WHEEL, PACKAGE, extra, study_plans
from lossprune_lib.version import __version__

if TYPE_CHECKING:
    from lossprune_lib.studies.study import Study

_STUDY = """\
A study is a grid of runs: networks are trained, pruned in several ways, fine-tuned and measured. A plan says which: a
TOML file, or the name of one that comes with the project ({plans}). Finished runs are kept in a store, an SQLite file;
"run" may be interrupted at any moment and resumes where it stopped.
"""
_PLAN = """\
A plan looks like this; whatever is left out has a default:

  task = "digits"              # digits, python_reference, mnist, fashion_mnist, cifar10
  model = "mlp_300_100"        # mlp_300_100, small_vgg, vgg11, preact_resnet18, tiny_gpt
  criteria = ["mp", "qm"]      # mp, lm, qm, obd, random
  sparsities = [0.9, 0.95]
  stages = [1, 14]
  step_penalties = [0, 1e-3]
  seeds = [0, 1]
  controls = ["", "erk"]       # "" is the criterion itself; of mp: uniform, erk, lamp, gradual;
                               # of lm, qm and obd: magnitude, shuffled
  curvature_columns = [0, 4]   # 0 is the exact curvature, else it is sampled with so many columns
  schedule = "exponential"     # linear, exponential, cubic: how the sparsity grows with the stages
  batch_size = 1000            # examples for the loss model of each stage
  scope = "global"             # where the smallest are chosen: global, layer, row, 2:4
  train_examples = 1000        # leave it out to use all
  width = 1.0                  # other widths only of vgg11 and preact_resnet18
  include = ["default"]        # which layers are prunable, by names or patterns, such as "conv*"
  exclude = ["fc3"]            # which of these are not
  [training]                   # and, here and below: momentum, weight_decay, milestones, lr_factor, channels_last
  epochs = 20
  lr = 0.01
  batch_size = 100
  schedule = "steps"           # steps, one_cycle
  optimizer = "sgd"            # sgd, adamw
  precision = "float32"        # float32, bfloat16
  # augment = "crop_and_flip"  # for photographs
  [tuning]                     # leave it out to prune only
  epochs = 10

example: python -m lossprune_lib study run my_plan.toml --store my_runs.sqlite --workers 2
"""


_CLASS = """\
Reports say whose they are (exercises.report). A notebook belongs to the folder in which it lies, FOLDER/Ada/..., or to
whoever its name names, FOLDER/Ada_01_loss_landscapes.ipynb. Stored outputs are read; nothing is run without --execute.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, or 1 if something is wrong, or 130 if it was interrupted."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"{error}\n" + "\n".join(getattr(error, "__notes__", [])), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        kept = " Finished runs are kept: the same command resumes from there." if options.command is _run else ""
        print(f"Interrupted.{kept}", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lossprune_lib", description="The library behind the pruning workbook, from the command line."
    )
    parser.add_argument("--version", action="version", version=f"lossprune {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    about = "check this machine: an OK/FAIL table, each FAIL with its remedy"
    commands.add_parser("doctor", help=about, description=about).set_defaults(command=_doctor)

    about = "collect the reports and notebooks that a class handed in: who did what, and what to talk about"
    class_ = commands.add_parser("class", help=about, description=about, epilog=_CLASS)
    class_.set_defaults(command=_class)
    class_.add_argument("folder", help="with reports (.json) and notebooks (.ipynb), and folders of them")
    class_.add_argument("--csv", metavar="FILE", help="write a row for each learner and exercise or guess")
    class_.add_argument("--execute", action="store_true", help="run the notebooks first, with whatever is in them")

    about = "run a grid of prunings and fine-tunings, show its progress and results, export it"
    study = commands.add_parser("study", help=about, description=_STUDY.format(plans=", ".join(study_plans())))
    actions = study.add_subparsers(required=True, metavar="ACTION")
    for action, (carry_out, about) in {
        "run": (_run, "carry out the runs that are not finished yet"),
        "status": (_status, "say how many runs are finished"),
        "table": (_table, "print the finished runs, one row per run"),
        "export": (_export, "write the finished runs to CSV files, with a note of how they were made"),
    }.items():
        command = actions.add_parser(
            action, help=about, description=about, epilog=_PLAN, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        command.set_defaults(command=carry_out)
        command.add_argument("plan", help="a TOML file, or the name of a plan that comes with the project")
        command.add_argument("--store", default="runs.sqlite", help="the SQLite file of finished runs (%(default)s)")
        command.add_argument("--seeds", type=int, nargs="+", metavar="SEED", help="only these of the plan's seeds")
        if action == "run":
            command.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")
            where = command.add_mutually_exclusive_group()
            where.add_argument("--workers", type=int, help="use this many processes of this machine (needs Dask)")
            where.add_argument("--scheduler", metavar="ADDRESS", help="send the runs to this Dask scheduler")
        if action == "export":
            command.add_argument("folder", help="where the files go")
    return parser


def _doctor(options: argparse.Namespace) -> int:
    print(f"lossprune {__version__}, {'installed in' if FROM_WHEEL else 'checkout in'} {PACKAGE.parent}")
    table = doctor.check()
    for what, row in table.iterrows():
        print(f"{row['status']:5} {what:17} {row['found']}" + (f"  ->  {row['remedy']}" if row["remedy"] else ""))
    return int((table["status"] == "FAIL").any())


def _class(options: argparse.Namespace) -> int:
    from lossprune_lib.classroom import collect, summary, to_csv

    found = collect(options.folder, execute=options.execute)
    print(summary.printed(found.table))
    if found.remarks:
        print("\n" + "\n".join(found.remarks), file=sys.stderr)
    if options.csv:
        print(f"\n{len(found.table)} rows in {to_csv(found.table, options.csv)}")
    return 0


def _run(options: argparse.Namespace) -> int:
    study, _ = _study(options)
    with _client(options) as client:
        study.run(options.store, client, device=options.device)
    return _status(options)


def _status(options: argparse.Namespace) -> int:
    study, path = _study(options)
    for seed in study.seeds:
        part = study.only([seed])
        print(f"{path.stem}, seed {seed}: {part.finished(options.store)} of {len(part.runs)} runs finished")
    return 0


def _table(options: argparse.Namespace) -> int:
    study, _ = _study(options)
    table = study.table(options.store)
    if table.empty:
        print("No run is finished yet.")
        return 0
    added = [name for name in ("control", "curvature_columns") if name in table]  # only where some run has one
    columns = ["seed", "criterion", *added, "sparsity", "stages", "step_penalty", "true_change"]
    columns += ["dense_valid_error", "pruned_valid_error", "tuned_valid_error", "tuned_test_error"]
    print(table[columns].to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    return 0


def _export(options: argparse.Namespace) -> int:
    from lossprune_lib.studies.export import export

    study, path = _study(options)
    for written in export(study, path, options.store, options.folder):
        print(written)
    return 0


def _study(options: argparse.Namespace) -> tuple[Study, Path]:
    from lossprune_lib.checks import suggestion
    from lossprune_lib.studies.study import Study

    path = Path(options.plan)
    if not path.is_file() and options.plan in study_plans():
        path = study_plans()[options.plan]
    if not path.is_file():
        raise FileNotFoundError(f"There is no plan {path}: check the path.{suggestion(options.plan, study_plans())}")
    study = Study.read(path)
    return (study.only(options.seeds) if options.seeds else study), path


@contextlib.contextmanager
def _client(options: argparse.Namespace) -> Iterator[Any]:
    """Give a Dask client as the options say, or None."""
    if options.workers is None and options.scheduler is None:
        yield None
        return
    if options.workers is not None:
        # Here, because it imports torch, and `doctor` must work where torch does not.
        from lossprune_lib.checks import check_int

        check_int(options.workers, "--workers")
    with extra("cluster"):
        from distributed import Client, LocalCluster
    with contextlib.ExitStack() as stack:
        where = options.scheduler or stack.enter_context(
            LocalCluster(n_workers=options.workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
        )
        yield stack.enter_context(Client(where))


if __name__ == "__main__":
    raise SystemExit(main())
