"""One click command per function.

Exit codes: 0 done, 1 a bug in modelpack, 2 usage, 3 model refused, 4 model not supported,
5 environment not resolved, 6 build failed, 7 smoke test failed, 8 no engine, 9 a difference of
--fail-on, in `diff` or before a second version of `deploy`.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import click

from modelpack.cli.help import CHECK, DEPLOY, MACHINE, PACKAGE, STEPS, Group
from modelpack.cli.options import (
    BASE,
    BATCH,
    CACHE,
    COMPILED,
    DEPLOYMENT,
    ENGINE,
    ENVIRONMENT,
    EXAMPLE,
    EXPECTED,
    FILE,
    FORCE,
    GRPC,
    INDEX,
    MODEL,
    NO_SMOKE,
    OUTPUT,
    REPORTS,
    ROW_FORMATS,
    SHA256,
    SLIM,
    TARGET,
    TEXTS,
    TRUST,
    build_deploy_request,
    build_job_request,
    build_options,
    build_predict_request,
    password,
    read_settings_of_target,
    with_options,
)
from modelpack.errors import UsageError
from modelpack.pipeline.options import FAIL_ON, Observer, Options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelpack.pipeline.deploy import DeployResult
    from modelpack.pipeline.deploy_job import JobResult
    from modelpack.pipeline.stages import Pipeline
    from modelpack.types import SmokeReport


def _observer(quiet: bool, verbose: bool) -> Observer:
    if quiet:
        return Observer()
    from modelpack.cli.progress import StageProgress

    return StageProgress(verbose=verbose)


def _pipeline(quiet: bool, verbose: bool, **given: Any) -> Pipeline:
    from modelpack.pipeline.stages import Pipeline

    return Pipeline(build_options(**given), _observer(quiet, verbose))


def _print_version(ctx: click.Context, _: click.Parameter, is_given: bool) -> None:
    if is_given and not ctx.resilient_parsing:
        from modelpack.cli import version

        click.echo(version.text())
        ctx.exit()


# --- commands ------------------------------------------------------------------------------------


@click.group(
    cls=Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version, and the engines on this machine",
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Package a saved model as a small, tested container image that serves it.

    Without a command, modelpack lists the models in the current folder.
    """
    if ctx.invoked_subcommand is None:
        from modelpack.cli import overview

        overview.show(ctx)


@main.command("inspect", section=PACKAGE)
@click.option(
    "--compiled", is_flag=True, help="Compile MODEL to find settings without a compiled form, too"
)
@click.option("--card", is_flag=True, help="Print a model card in Markdown")
@with_options(MODEL, TRUST, TEXTS, OUTPUT)
def inspect_command(
    models: tuple[str | Path, ...],
    title: str | None,
    description: str | None,
    trust: tuple[str, ...],
    select: tuple[str, ...],
    code: tuple[Path, ...],
    sha256: tuple[str, ...],
    compiled: bool,
    card: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Show format, versions, signature and safety of MODEL without executing it.

    Give all files of a model, in the order in which rows pass through them: vectorizer.joblib
    model.joblib. MODEL can also be an address, see `modelpack package --help`.
    """
    from modelpack.cli import output as cli_output
    from modelpack.inspection import hint_with_findings, inspect
    from modelpack.pipeline.inspect import inspect_with_code, require_code_paths, with_record
    from modelpack.pipeline.sources import open_models

    if not as_json:
        _import_meanwhile("modelpack.cli.model_view")
    options = build_options(code=code, sha256=sha256, title=title, description=description)
    is_remote = any(isinstance(model, str) for model in models)
    with open_models(models, options, _observer(quiet or not is_remote, verbose)) as local:
        options = replace(options, code=tuple(map(local.localize, code)))
        require_code_paths(options)
        spec = inspect(*local.paths, trust=trust, select=select)
        spec, found, problem = inspect_with_code(spec, options)
        if compiled and problem is None:
            from modelpack.pipeline.compiled import compiled_if_possible

            spec = compiled_if_possible(spec)
        if card and problem is None:
            spec = with_record(spec, local.paths, options)
        spec, found = local.describe(spec), local.describe_code(found)
        if as_json:
            cli_output.print_value(spec)
        elif card and problem is None:
            from modelpack.cli.model_card import card as model_card

            click.echo(model_card(spec), nl=False)
        else:
            cli_output.print_model(spec, found)
        if problem:
            problem.hint = hint_with_findings(problem.hint)
            raise problem


@main.command("bundle", section=STEPS)
@click.option("-o", "--output", type=FILE, required=True, help="Folder to write")
@with_options(
    FORCE, MODEL, TRUST, TEXTS, EXAMPLE, ENVIRONMENT, COMPILED, GRPC, SLIM, OUTPUT
)  # fmt: skip
def bundle_command(
    models: tuple[str | Path, ...],
    output: Path,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> None:
    """Write the folder that serves MODEL: Dockerfile, app, lock and model."""
    from modelpack.cli import output as cli_output
    from modelpack.pipeline.compiled import prepare

    run = _pipeline(quiet, verbose, **given)
    with prepare(run, models) as (run, model, code):
        bundle = run.render(model, code, output)
    if as_json:
        cli_output.print_value(bundle)
    else:
        cli_output.print_result(str(output))


@main.command("lock", section=STEPS)
@click.option("-o", "--output", type=FILE, help="Write the lock to this file")
@click.option(
    "--download",
    metavar="WHEELHOUSE",
    type=FILE,
    help="Download everything that an offline build needs to this folder",
)
@with_options(MODEL, TRUST, ENVIRONMENT, COMPILED, OUTPUT)
def lock_command(
    models: tuple[str | Path, ...],
    output: Path | None,
    download: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> None:
    """Lock the distributions that MODEL needs, with hashes."""
    from modelpack.cli import output as cli_output
    from modelpack.pipeline.lock import lock

    run = _pipeline(quiet, verbose, **given)
    environment = lock(run, models, output, download)
    if as_json:
        cli_output.print_value(environment)
    elif output is None and download is None:
        cli_output.print_lock(environment.lock)


@main.command("build", section=STEPS)
@click.argument("bundle", type=FILE)
@click.option("-t", "--tag", metavar="REF", help="Image tag (default: from the folder name)")
@with_options(SLIM, BASE, INDEX, CACHE, ENGINE, OUTPUT)
def build_command(bundle: Path, as_json: bool, quiet: bool, verbose: bool, **given: Any) -> None:
    """Build the image of the folder BUNDLE without a smoke test."""
    from modelpack.bundle import manifest
    from modelpack.cli import output as cli_output
    from modelpack.pipeline.build import build

    run = _pipeline(quiet, verbose, **given)
    image = build(run, manifest.read(bundle))
    if as_json:
        cli_output.print_value(image)
    else:
        cli_output.print_image(image)


@main.command("smoke", section=CHECK)
@click.argument("target", metavar="IMAGE-OR-BUNDLE", type=TARGET)
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
    """Run the smoke test of an image, or of a bundle as a local process.

    With an --engine other than `process`, an untagged image of the bundle is built and tested.
    """
    from modelpack.cli import output as cli_output
    from modelpack.pipeline.smoke import smoke_target
    from modelpack.pipeline.targets import SMOKE, classify, default_engine

    classified = classify(target, SMOKE)
    given["engine"] = default_engine(classified, given["engine"])
    run = _pipeline(quiet, verbose, **given)
    outcome = smoke_target(run, classified)
    if as_json:
        cli_output.print_value(outcome)
    else:
        cli_output.print_smoke_report(outcome)
    _conclude(outcome, run.options, report, junit)


@main.command("scan", section=CHECK)
@click.argument("target", metavar="IMAGE", type=TARGET)
@with_options(ENGINE, OUTPUT)
def scan_command(target: str, as_json: bool, quiet: bool, verbose: bool, **given: Any) -> None:
    """Check an image against the hardening rules without running it.

    IMAGE can also be docker-archive:FILE, oci-archive:FILE or oci:DIR.
    """
    from modelpack.cli import output as cli_output
    from modelpack.pipeline import scan
    from modelpack.pipeline.targets import SCAN, classify, default_engine

    classified = classify(target, SCAN)
    given["engine"] = default_engine(classified, given["engine"])
    run = _pipeline(quiet, verbose, **given)
    rulings = scan.scan(run, classified)
    if as_json:
        cli_output.print_json(scan.scan_report(target, rulings))
    else:
        cli_output.print_rulings(rulings)
    scan.require_passed_rules(rulings)


@main.command("package", section=PACKAGE)
@click.option("-t", "--tag", metavar="REF", help="Image tag (default: from the file name)")
@click.option("-o", "--output", type=FILE, help="Keep the bundle in this folder")
@with_options(
    FORCE, ENGINE, MODEL, TRUST, TEXTS, COMPILED, ENVIRONMENT, GRPC, SLIM, CACHE, EXAMPLE,
    EXPECTED, NO_SMOKE, REPORTS, OUTPUT,
)  # fmt: skip
def package_command(
    models: tuple[str | Path, ...],
    report: Path | None,
    junit: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    no_smoke: bool,
    **given: Any,
) -> None:
    """Package MODEL as a tested container image.

    MODEL is a file, a folder of MLflow or a zip archive of one, models:/NAME/VERSION,
    models:/NAME@ALIAS or runs:/ID/PATH of the server in MLFLOW_TRACKING_URI, or https://HOST/PATH
    with --sha256 (docs/addresses.md).
    """
    from modelpack.cli import output as cli_output
    from modelpack.pipeline.package import package
    from modelpack.pipeline.smoke import BUNDLE

    options = build_options(smoke=not no_smoke, **given)
    result = package(models, options, _observer(quiet, verbose))
    if as_json:
        cli_output.print_json(result.to_json())
    else:
        accepted = not result.smoke or options.accepts(result.smoke)
        cli_output.print_package(result, accepted=accepted, quiet=quiet)
    if result.smoke:
        keep = ["--no-smoke"] if given["output"] else ["-o", BUNDLE, "--no-smoke"]
        _conclude(result.smoke, options, report, junit, keep)


@main.command("export", section=DEPLOY)
@click.argument("reference", metavar="IMAGE")
@click.argument("target", metavar="FILE.tar-OR-FOLDER", type=FILE)
@with_options(OUTPUT[1:])
def export_command(reference: str, target: Path, **_: bool) -> None:
    """Write an image of --engine oci to an archive or a folder.

    FILE.tar is an archive for `docker load`, `podman load` and skopeo. Any other name is the folder
    of an OCI layout.
    """
    from modelpack.cli import output as cli_output
    from modelpack.pipeline.build import export

    export(reference, target)
    cli_output.print_result(str(target))


@main.command("push", section=DEPLOY)
@click.argument("reference", metavar="REF")
@click.option(
    "--as", "other", metavar="REF", help="Tag the image with this reference before the push"
)
@click.option(
    "--key",
    type=FILE,
    help="Sign with this private key (cosign.key; its password is COSIGN_PASSWORD)",
)
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
    """Push the image REF to its registry, with SBOM and provenance attached.

    The credentials are those of `docker login` or `podman login`.
    """
    from modelpack.cli import output as cli_output
    from modelpack.engines import IMAGE_ENGINES
    from modelpack.pipeline.push import Attestor, push

    engine = IMAGE_ENGINES if engine == "auto" else engine
    run = _pipeline(quiet, verbose, engine=engine)
    attestor = Attestor(key, password)
    pushed = push(run, reference, other, attestor=attestor)
    if as_json:
        cli_output.print_json(pushed.to_json())
    else:
        cli_output.print_result(pushed.reference)


@main.command("verify", section=CHECK)
@click.argument("target", metavar="REF", type=TARGET)
@click.option("--key", type=FILE, help="Public key that signed the image (cosign.pub)")
@click.option("--platform", metavar="OS/ARCH", help="Platform to select from an image for several")
@with_options(NO_SMOKE, EXAMPLE, EXPECTED, ENGINE, OUTPUT)
def verify_command(
    target: str,
    key: Path | None,
    no_smoke: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> None:
    """Verify signature, provenance and SBOM of an image, then run its smoke test.

    REF is an image in a registry or on this machine, oci:DIR, oci-archive:FILE or
    docker-archive:FILE.
    """
    from modelpack.cli import output as cli_output
    from modelpack.pipeline import verify
    from modelpack.pipeline.targets import VERIFY, classify, default_engine

    classified = classify(target, VERIFY)
    given["engine"] = default_engine(classified, given["engine"])
    run = _pipeline(quiet, verbose, smoke=not no_smoke, **given)
    outcome = verify.verify(run, classified, key)
    if as_json:
        cli_output.print_json(outcome.to_json())
    else:
        cli_output.print_verification(outcome)
    verify.require_verified(outcome)


@main.command("serve", section=PACKAGE)
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(1, 65535),
    default=8080,
    show_default=True,
    envvar="PORT",
    show_envvar=True,
    help="Port to listen on",
)
@with_options(MODEL, TRUST, TEXTS, EXAMPLE, ENVIRONMENT, COMPILED, OUTPUT[1:])
def serve_command(
    models: tuple[str | Path, ...], port: int, quiet: bool, verbose: bool, **given: Any
) -> None:
    """Serve MODEL on this machine without a container.

    MODEL is the files of a model or the folder of a bundle. The service reads the same environment
    variables as the image, such as MODELPACK_TOKEN and WEB_CONCURRENCY (docs/service.md).
    """
    from modelpack.pipeline.build import serve

    run = _pipeline(quiet, verbose, engine="process", **given)
    sys.exit(serve(run, models, port))


@main.command("predict", section=PACKAGE)
@click.argument(
    "target",
    metavar="MODEL-BUNDLE-OR-IMAGE",
    type=TARGET,
    is_eager=True,
    callback=read_settings_of_target,
)
@click.argument("data", type=FILE, required=False)
@with_options(SHA256, BATCH, TRUST, ENVIRONMENT, ENGINE, OUTPUT)
def predict_command(
    target: str,
    data: Path | None,
    output: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> None:
    """Predict the rows of the file DATA, or of stdin, without a service.

    The predictions are those of the service. The model runs in a sandbox without a network: in a
    container for an image, else in a local process (see --engine).
    """
    from modelpack.cli import output as cli_output
    from modelpack.pipeline.predict import predict
    from modelpack.pipeline.targets import PREDICT, classify, default_engine

    if as_json and output is None:
        raise UsageError(
            "--json prints a summary to stdout, where the predictions go.", hint="Add -o FILE."
        )
    classified = classify(target, PREDICT)
    given["engine"] = default_engine(classified, given["engine"])
    batch = build_predict_request(None if data == Path("-") else data, output, given)
    done = predict(_pipeline(quiet, verbose, **given), classified, batch)
    if as_json:
        cli_output.print_json({"target": target, "output": str(output), **vars(done)})


@main.command("diff", section=CHECK)
@click.argument("old", type=TARGET)
@click.argument("new", type=TARGET)
@click.option(
    "--example", type=FILE, help=f"Rows to compare ({ROW_FORMATS}; default: recorded or generated)"
)
@click.option(
    "--tolerance",
    metavar="X",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Relative difference of numbers that counts as equal (default: 0, bit for bit)",
)
@click.option(
    "--fail-on",
    type=click.Choice(FAIL_ON),
    default="breaking",
    show_default=True,
    help="Differences that end with exit code 9",
)
@click.option("--markdown", type=FILE, help="Write a comment for a pull request to this file")
@click.option("--platform", metavar="OS/ARCH", help="Platform to select from an image for several")
@with_options(SHA256, INDEX, ENGINE, OUTPUT)
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
    """Show what changes for callers and in the image when NEW replaces OLD.

    OLD and NEW are images, bundles, model files, or images in archives, layouts or registries. Both
    predict the same rows in a sandbox without a network. Exit code 9 means that NEW breaks callers.
    """
    from modelpack.cli import output as cli_output
    from modelpack.pipeline import diff
    from modelpack.pipeline.targets import DIFF, classify

    run = _pipeline(quiet, verbose, **given)
    found = diff.diff(run, classify(old, DIFF), classify(new, DIFF))
    if markdown:
        cli_output.write_diff(found, markdown)
    if as_json:
        cli_output.print_json(found.to_json())
    else:
        cli_output.print_diff(found)
    diff.require_no_difference(found, fail_on)


@main.command("deploy", section=DEPLOY)
@click.argument("target", metavar="[IMAGE-OR-BUNDLE]", type=TARGET, required=False)
@with_options(DEPLOYMENT, EXAMPLE, ENGINE, OUTPUT)
def deploy_command(
    target: str | None,
    action: str | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    engine: str,
    **given: Any,
) -> None:
    """Write the files that deploy IMAGE-OR-BUNDLE to Compose, Swarm, Kubernetes or KServe.

    Requests, limits, workers, probes and autoscaling are computed from the measurements of the
    smoke test. A comment next to each number states where it comes from. --apply also deploys them.
    --canary and --shadow deploy a second version next to it, which `modelpack diff` compares first.
    --batch writes a job that predicts a folder, in place of a service; --apply waits until it is
    complete. Without IMAGE-OR-BUNDLE, --apply, --status and --remove use the files in the folder.
    """
    from modelpack.cli import output as cli_output
    from modelpack.engines import IMAGE_ENGINES
    from modelpack.pipeline.deploy import deploy
    from modelpack.pipeline.deploy_job import deploy_job
    from modelpack.pipeline.targets import DEPLOY, classify

    folder, batch, batch_options = given["output"], given.pop("batch"), given.pop("batch_options")
    context = given.pop("context")
    engine = IMAGE_ENGINES if engine == "auto" else engine
    if batch and target is None:
        raise UsageError(
            "--batch needs an image or a bundle, whose job it writes.",
            hint="modelpack deploy IMAGE --to kubernetes --batch CLAIM/rows CLAIM/answers -o DIR",
        )
    if context is not None and action is None:
        raise UsageError(
            "--context is that of a cluster, and no cluster is changed.",
            hint="Add one of --apply, --status and --remove.",
        )
    if target is not None and action in {None, "apply"}:
        request = build_deploy_request(given)
        run = _pipeline(quiet, verbose, engine=engine, **given)
        classified = classify(target, DEPLOY)
        result: DeployResult | JobResult
        if batch:
            result = deploy_job(run, classified, build_job_request(request, batch, batch_options))
        else:
            result = deploy(run, classified, request)
        if action is None and as_json:
            cli_output.print_json(result.to_json())
        elif action is None:
            cli_output.print_deployment(result)
        if action is None:
            return
    elif target is not None or action is None:
        raise UsageError(
            "Give an image or a bundle, or one of --apply, --status and --remove for the files.",
            hint="modelpack deploy IMAGE --to compose -o DIR, or modelpack deploy --status -o DIR",
        )
    else:
        run = _pipeline(quiet, verbose, engine=engine)
    _act(run, action, folder, context, as_json=as_json)


def _act(run: Pipeline, action: str, folder: Path, context: str | None, *, as_json: bool) -> None:
    """Apply, show or remove the deployment in a folder, or its job."""
    from modelpack.cli import output as cli_output
    from modelpack.pipeline import apply, apply_job

    is_job = apply_job.is_job(folder)
    deployed = apply_job if is_job else apply  # both have the same functions
    if action == "remove":
        deployed.remove(run, folder, context)
        return
    act = partial(deployed.apply, run) if action == "apply" else deployed.status
    result = act(folder, context)
    if as_json:
        cli_output.print_json(result.to_json())
    elif is_job:
        cli_output.print_job(result)
    else:
        cli_output.print_deployed(result)
    deployed.require_success(result)


@main.command("doctor", section=MACHINE)
@with_options(OUTPUT[:1])
def doctor_command(as_json: bool) -> None:
    """List the tools on this machine, and how to install missing ones."""
    from modelpack.cli import output as cli_output
    from modelpack.pipeline import doctor

    findings = doctor.examine()
    if as_json:
        cli_output.print_json([vars(finding) for finding in findings])
    else:
        cli_output.print_findings(findings)


@main.group("base", section=MACHINE)
def base_group() -> None:
    """Manage local base images, for machines without access to a registry."""


@base_group.command("build")
@click.option("--python", metavar="X.Y", required=True, help="Python version")
@click.option(
    "--engine",
    type=click.Choice(["docker", "podman"]),
    default="docker",
    show_default=True,
    help="Engine to build with",
)
@with_options(OUTPUT)
def base_build_command(python: str, engine: str, as_json: bool, quiet: bool, verbose: bool) -> None:
    """Build a base image from Debian packages and an interpreter of this machine."""
    from modelpack.cli import output as cli_output
    from modelpack.engines.local_base import build_base

    observer = _observer(quiet, verbose)
    base = build_base(python, engine=engine, on_step=observer.step)
    if as_json:
        cli_output.print_value(base)
    else:
        cli_output.print_result(base.reference)


@main.command("completion", section=MACHINE)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the script that completes commands, options and files in a shell.

    bash: eval "$(modelpack completion bash)" in ~/.bashrc. zsh: the same with zsh in ~/.zshrc,
    after compinit. fish: modelpack completion fish > ~/.config/fish/completions/modelpack.fish
    """
    from click.shell_completion import get_completion_class

    completion = get_completion_class(shell)
    assert completion is not None  # noqa: S101 - a choice of click's
    click.echo(completion(main, {}, "modelpack", "_MODELPACK_COMPLETE").source())


def _import_meanwhile(module: str) -> None:
    """Import in the background, while this process waits for another."""
    Thread(target=import_module, args=(module,), daemon=True).start()


def _conclude(
    outcome: SmokeReport,
    options: Options,
    report: Path | None,
    junit: Path | None,
    keep: Sequence[str] = (),
) -> None:
    """Write the reports, and require a passed test. `keep`: options that keep the bundle."""
    from modelpack.pipeline.smoke import EXAMPLE, require_passed

    if report or junit:
        from modelpack.smoke import reports  # imports a parser of XML

        if report:
            reports.write_json(outcome, report)
        if junit:
            reports.write_junit(outcome, junit)
    command = ["modelpack", *sys.argv[1:]]
    require_passed(
        outcome,
        allow_untested=options.allow_untested,
        command=shlex.join([*command, "--example", EXAMPLE]),
        keep=shlex.join([*command, *keep]) if keep else "",
    )
