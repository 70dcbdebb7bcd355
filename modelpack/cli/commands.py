"""One click command per function.

Exit codes: 0 done, 1 a bug in modelpack, 2 usage, 3 model refused, 4 model not supported,
5 environment not resolved, 6 build failed, 7 smoke test failed, 8 no engine, 9 `diff` found a
difference that it was told to fail on.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from modelpack import engines
from modelpack._version import __version__
from modelpack.bundle import manifest
from modelpack.cli import output as cli_output
from modelpack.cli import progress
from modelpack.cli.options import (
    BASE,
    BATCH,
    ENGINE,
    ENVIRONMENT,
    EXAMPLE,
    EXPECTED,
    FILE,
    INDEX,
    MODEL,
    OUTPUT,
    REPORTS,
    SLIM,
    TRUST,
    build_options,
    build_predict_request,
    default_engine,
    password,
    read_settings_of_target,
    with_options,
)
from modelpack.errors import UsageError
from modelpack.inspection import inspect
from modelpack.pipeline import build, lock, package, predict, push, scan, smoke
from modelpack.pipeline import inspect as pipeline_inspect
from modelpack.pipeline import options as pipeline_options
from modelpack.pipeline.options import Observer, Options
from modelpack.pipeline.stages import Pipeline
from modelpack.smoke import reports
from modelpack.types import SmokeReport, to_json


def _observer(quiet: bool, verbose: bool) -> Observer:
    return Observer() if quiet else progress.StageProgress(verbose=verbose)


# --- commands ------------------------------------------------------------------------------------


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="modelpack")
def main() -> None:
    """Turn a saved model into a small, tested container image that serves it."""


@main.command("inspect")
@with_options(MODEL, TRUST, OUTPUT)
def inspect_command(
    models: tuple[Path, ...],
    trust: tuple[str, ...],
    select: tuple[str, ...],
    code: tuple[Path, ...],
    as_json: bool,
    **_: bool,
) -> None:
    """What is in the file MODEL: format, versions, signature, safety. Executes nothing of it.

    A model that lies in several files is given by all of them, in the order in which its rows pass
    through them: vectorizer.joblib model.joblib.
    """
    spec = inspect(*models, trust=trust, select=select)
    options = build_options(code=code)
    spec, found, problem = pipeline_inspect.inspect_with_code(spec, options)
    if as_json:
        cli_output.print_json(to_json(spec))
    else:
        cli_output.model(spec, found)
    if problem:
        raise problem


@main.command("bundle")
@click.option("-o", "--output", type=FILE, required=True, help="The folder to write.")
@with_options(MODEL, TRUST, EXAMPLE, ENVIRONMENT, SLIM, OUTPUT)
def bundle_command(
    models: tuple[Path, ...],
    output: Path,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> None:
    """Write the folder that serves MODEL: Dockerfile, app, lock, model. Builds nothing."""
    run = Pipeline(build_options(**given), _observer(quiet, verbose))
    found, code = run.inspect(models)
    model, _ = run.reference(found, models)
    bundle = run.render(model, code, output)
    if as_json:
        cli_output.print_json(to_json(bundle))
    else:
        cli_output.result(str(output))


@main.command("lock")
@click.option("-o", "--output", type=FILE, help="Write the lock to this file.")
@click.option(
    "--download",
    metavar="WHEELHOUSE",
    type=FILE,
    help="Fill this folder with all that a build with no network takes.",
)
@with_options(MODEL, TRUST, ENVIRONMENT, OUTPUT)
def lock_command(
    models: tuple[Path, ...],
    output: Path | None,
    download: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> None:
    """Pin and hash every distribution that serving MODEL takes: requirements.lock."""
    run = Pipeline(build_options(**given), _observer(quiet, verbose))
    environment = lock.lock(run, models, output, download)
    if as_json:
        cli_output.print_json(to_json(environment))
    elif output is None and download is None:
        cli_output.lock(environment.lock)


@main.command("build")
@click.argument("bundle", type=FILE)
@click.option("-t", "--tag", metavar="REF", help="Else made from the folder's name.")
@with_options(SLIM, BASE, INDEX, ENGINE, OUTPUT)
def build_command(bundle: Path, as_json: bool, quiet: bool, verbose: bool, **given: Any) -> None:
    """Build the image of the folder BUNDLE, without a smoke test."""
    run = Pipeline(build_options(**given), _observer(quiet, verbose))
    made = manifest.read(bundle)
    image = build.build(run, made)
    if as_json:
        cli_output.print_json(to_json(image))
    else:
        cli_output.image(image)


@main.command("smoke")
@click.argument("target", metavar="IMAGE-OR-BUNDLE")
@with_options(BASE, EXAMPLE, EXPECTED, REPORTS, ENGINE, OUTPUT)
def smoke_command(
    target: str,
    report: Path | None,
    junit: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> None:
    """Run an image, or a bundle as a local process, and judge how it serves.

    With another --engine than `process`, a bundle's image is built for that, and has no name.
    """
    given["engine"] = default_engine(target, given["engine"])
    run = Pipeline(build_options(**given), _observer(quiet, verbose))
    outcome = smoke.smoke_target(run, target)
    if as_json:
        cli_output.print_json(to_json(outcome))
    else:
        cli_output.smoke(outcome)
    _conclude(outcome, run.options, report, junit)


@main.command("scan")
@click.argument("target", metavar="IMAGE")
@with_options(ENGINE, OUTPUT)
def scan_command(target: str, as_json: bool, quiet: bool, verbose: bool, **given: Any) -> None:
    """Hold an image to the rules of hardening, without running anything of it.

    IMAGE may also be an archive or a layout: docker-archive:FILE, oci-archive:FILE, oci:DIR.
    """
    given["engine"] = engines.IMAGE_ENGINES if given["engine"] == "auto" else given["engine"]
    run = Pipeline(build_options(**given), _observer(quiet, verbose))
    rulings = scan.scan(run, target)
    if as_json:
        cli_output.print_json(scan.scan_report(target, rulings))
    else:
        cli_output.rulings(rulings)
    scan.require_passed_rules(rulings)


@main.command("package")
@click.option("-t", "--tag", metavar="REF", help="Else made from the file's name.")
@click.option("-o", "--output", type=FILE, help="Keep the bundle in this folder.")
@click.option("--no-smoke", is_flag=True, help="Do not run the image.")
@with_options(MODEL, EXAMPLE, EXPECTED, REPORTS, TRUST, ENVIRONMENT, SLIM, ENGINE, OUTPUT)
def package_command(
    models: tuple[Path, ...],
    report: Path | None,
    junit: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    no_smoke: bool,
    **given: Any,
) -> None:
    """Turn MODEL into a tested container image."""
    options = build_options(smoke=not no_smoke, **given)
    made = package.package(models, options, _observer(quiet, verbose))
    if as_json:
        cli_output.print_json(made.to_json())
    else:
        cli_output.package(made, accepted=not made.smoke or options.accepts(made.smoke))
    if made.smoke:
        _conclude(made.smoke, options, report, junit)


@main.command("export")
@click.argument("reference", metavar="IMAGE")
@click.argument("target", metavar="FILE.tar-OR-FOLDER", type=FILE)
@with_options(OUTPUT[1:])
def export_command(reference: str, target: Path, **_: bool) -> None:
    """Write an image of --engine oci to a file, or to a folder.

    FILE.tar is an archive that `docker load`, `podman load` and skopeo take; any other name becomes
    a folder, an OCI layout.
    """
    build.export(reference, target)
    cli_output.result(str(target))


@main.command("push")
@click.argument("reference", metavar="REF")
@click.option("--as", "other", metavar="REF", help="Name the image so, and push it by that name.")
@click.option("--key", type=FILE, help="Sign it, too: cosign.key; COSIGN_PASSWORD opens it.")
@with_options(ENGINE, OUTPUT)
def push_command(
    reference: str,
    other: str | None,
    key: Path | None,
    engine: str,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Push the image REF to its registry, as whom `docker login` knows there.

    Its bill of materials and its provenance are attached to it there.
    """
    engine = engines.IMAGE_ENGINES if engine == "auto" else engine
    run = Pipeline(build_options(engine=engine), _observer(quiet, verbose))
    attestor = push.Attestor(key, password)
    pushed = push.push(run, reference, other, attestor=attestor)
    if as_json:
        cli_output.print_json(pushed.to_json())
    else:
        cli_output.result(pushed.reference)


@main.command("verify")
@click.argument("target", metavar="REF")
@click.option("--key", type=FILE, help="The public key of whoever signed it: cosign.pub.")
@click.option("--no-smoke", is_flag=True, help="Do not run the image.")
@click.option("--platform", metavar="OS/ARCH", help="Which, of an image for several platforms.")
@with_options(EXAMPLE, EXPECTED, ENGINE, OUTPUT)
def verify_command(
    target: str,
    key: Path | None,
    no_smoke: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> None:
    """Judge what vouches for an image: signature, provenance, bill of materials; then test it.

    REF is a name in a registry, an image here, or oci:DIR, oci-archive:FILE, docker-archive:FILE.
    """
    from modelpack.pipeline import verify

    if given["engine"] == "auto":
        given["engine"] = engines.IMAGE_ENGINES
    run = Pipeline(build_options(smoke=not no_smoke, **given), _observer(quiet, verbose))
    outcome = verify.verify(run, target, key)
    if as_json:
        cli_output.print_json(outcome.to_json())
    else:
        cli_output.verification(outcome)
    verify.require_verified(outcome)


@main.command("serve")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8080,
    show_default=True,
    envvar="PORT",
    show_envvar=True,
)
@with_options(MODEL, TRUST, EXAMPLE, ENVIRONMENT, OUTPUT[1:])
def serve_command(
    models: tuple[Path, ...], port: int, quiet: bool, verbose: bool, **given: Any
) -> None:
    """Serve MODEL on this machine with no container, as the image would.

    MODEL is a model's files, or the folder of a bundle. The service reads the same environment
    variables as the image: MODELPACK_TOKEN, WEB_CONCURRENCY and the others in docs/service.md.
    """
    run = Pipeline(build_options(engine="process", **given), _observer(quiet, verbose))
    sys.exit(build.serve(run, models, port))


@main.command("predict")
@click.argument(
    "target", metavar="MODEL-BUNDLE-OR-IMAGE", is_eager=True, callback=read_settings_of_target
)
@click.argument("data", type=FILE, required=False)
@with_options(BATCH, TRUST, ENVIRONMENT, ENGINE, OUTPUT)
def predict_command(
    target: str,
    data: Path | None,
    output: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> None:
    """Answer the rows of the file DATA, or of stdin, without a service.

    The image, the bundle or the model answers them as its service would, in a sandbox without a
    network. A model or a bundle does so in a local process unless --engine names another.
    """
    if as_json and output is None:
        raise UsageError("--json prints a summary where the answers go.", hint="Add -o FILE.")
    given["engine"] = default_engine(target, given["engine"])
    batch = build_predict_request(None if data == Path("-") else data, output, given)
    done = predict.predict(
        Pipeline(build_options(**given), _observer(quiet, verbose)), target, batch
    )
    if as_json:
        cli_output.print_json({"target": target, "output": str(output), **vars(done)})


@main.command("diff")
@click.argument("old")
@click.argument("new")
@click.option(
    "--example",
    type=FILE,
    help="Rows to ask both for (csv, json, npy, parquet); else recorded or made up.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Relative difference of numbers that still is equal; else bit for bit.",
)
@click.option(
    "--fail-on",
    type=click.Choice(pipeline_options.FAIL_ON),
    default="any",
    show_default=True,
    help="What ends with exit code 9: any difference, one that breaks callers, or of predictions.",
)
@click.option("--markdown", type=FILE, help="Write it as a comment for a pull request.")
@click.option("--platform", metavar="OS/ARCH", help="Which, of an image for several platforms.")
@with_options(INDEX, ENGINE, OUTPUT)
def diff_command(
    old: str,
    new: str,
    fail_on: str,
    markdown: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> None:
    """What changes where NEW takes the place of OLD: for callers, and in the image.

    Each is an image, a bundle, a model file, or an image in an archive, a layout or a registry. The
    same rows are asked of both, each in a sandbox without a network. Ends with exit code 9 where
    something differs.
    """
    from modelpack.pipeline import diff

    run = Pipeline(build_options(**given), _observer(quiet, verbose))
    found = diff.diff(run, old, new)
    if markdown:
        cli_output.diff_markdown(found, markdown)
    if as_json:
        cli_output.print_json(found.to_json())
    else:
        cli_output.diff(found)
    diff.require_no_difference(found, fail_on)


@main.command("doctor")
@with_options(OUTPUT[:1])
def doctor_command(as_json: bool) -> None:
    """What is here to build with, and how to mend what is not."""
    from modelpack.pipeline import doctor

    findings = doctor.examine()
    if as_json:
        cli_output.print_json([vars(finding) for finding in findings])
    else:
        cli_output.doctor(findings)


@main.group("base")
def base_group() -> None:
    """Local base images, for places that no image registry reaches."""


@base_group.command("build")
@click.option("--python", metavar="X.Y", required=True, help="The interpreter's version.")
@click.option(
    "--engine", type=click.Choice(["docker", "podman"]), default="docker", show_default=True
)
@with_options(OUTPUT)
def base_build_command(python: str, engine: str, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Make a base image from Debian packages and this machine's interpreter of that version."""
    from modelpack.engines.local_base import build_base

    observer = _observer(quiet, verbose)
    base = build_base(python, engine=engine, on_step=observer.step)
    if as_json:
        cli_output.print_json(to_json(base))
    else:
        cli_output.result(base.reference)


def _conclude(
    outcome: SmokeReport, options: Options, report: Path | None, junit: Path | None
) -> None:
    if report:
        reports.write_json(outcome, report)
    if junit:
        reports.write_junit(outcome, junit)
    smoke.require_passed(outcome, allow_untested=options.allow_untested)
