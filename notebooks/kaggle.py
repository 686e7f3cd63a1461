# %% [markdown]
# # Digit Recognizer: from the data to a checked submission
#
# This notebook trains on the competition's data, shows every digit that it got wrong, and leaves a
# checked `submission.csv`.
#
# 1. **Data**: Add Input, Competitions, Digit Recognizer.
# 2. **Packages**: switch the internet on (Settings, Internet). Without it, attach the dataset that
#    `digits kaggle wheels` makes.
# 3. **Run All.** It takes about ten minutes on four cores.
# 4. **Submit**: the tab Output, `submission.csv`, Submit to Competition.

# %% tags=["parameters"]
PROFILE = None  # quick | default | record; None: params.yaml as it is, which is default
SECOND = "quick"  # the profile to compare with at the end; None: no comparison
REPOSITORY = ""  # where the code is, unless it is attached

PROJECT = "/tmp/digit-recognizer-pipeline"  # code, packages and caches; no part of the output
INPUT = "/kaggle/input"
OUTPUT = "/kaggle/working"

# %% [markdown]
# ## Install
#
# The packages go into an environment of their own: those of this notebook stay as they are.

# %%
import collections
import html
import json
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

from IPython.display import HTML, Markdown, display

project, output = Path(PROJECT), Path(OUTPUT)
foreign = (
    *("KERAS_BACKEND", "MPLBACKEND", "PYTHONHOME", "PYTHONPATH", "PYTHONWARNINGS"),
    *("CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR"),  # as if this was a terminal
)
variables = {name: each for name, each in os.environ.items() if name not in foreign}
variables["PATH"] = f"{project}/.venv/bin:{os.environ['PATH']}"
variables["PYTHONUNBUFFERED"] = "1"


def run(*command, folder=project):
    """Run a command and show what it prints; an error ends the notebook with its last lines."""
    print("$", *command, flush=True)
    last = collections.deque(maxlen=15)
    with subprocess.Popen(
        list(map(str, command)),
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        for line in process.stdout:
            print(line, end="")
            last.append(line)
    if process.returncode:
        command = " ".join(map(str, command))
        raise RuntimeError(f"{command}: exit status {process.returncode}\n\n{''.join(last)}")


def attached(*names):
    """The first attached folder that holds files of these names; None if there is none."""
    found = (Path(folder) for folder, _, files in os.walk(INPUT) if set(names) <= set(files))
    return min(found, default=None)


def copy(source, target):
    """Copy files without their permissions: what is attached is read-only."""
    for path in source.rglob("*"):
        if path.is_file() and path.suffix != ".whl":
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def download(target):
    """Fetch the newest code by Git, or without Git as an archive."""
    if not REPOSITORY:
        raise RuntimeError(
            "There is no code yet. Set REPOSITORY above to the address of the project or of your "
            "fork; or attach the dataset that digits kaggle wheels makes, which has the code."
        )
    try:
        if shutil.which("git"):
            run("git", "clone", "--quiet", "--depth=1", REPOSITORY, target, folder="/tmp")
        else:
            answer = urllib.request.urlopen(f"{REPOSITORY}/archive/HEAD.tar.gz")
            with answer, tarfile.open(fileobj=answer, mode="r|gz") as archive:
                archive.extractall(target, filter="data")
            (only,) = target.iterdir()
            copy(only, target)
            shutil.rmtree(only)
    except (OSError, RuntimeError) as error:
        raise RuntimeError(
            f"{REPOSITORY} cannot be read: {error}\nSwitch the internet on (Settings, Internet), "
            "or attach the dataset that digits kaggle wheels makes."
        ) from None


def get_code():
    """Put the code into PROJECT, unless it is there; return where it came from."""
    if (project / "dvc.yaml").exists():
        return project
    unfinished = project.with_name(f"{project.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    code, packed = attached("dvc.yaml", "bootstrap.py"), attached("wheels.json", "code.archive")
    if code:
        copy(code, unfinished)
    elif packed:
        shutil.unpack_archive(packed / "code.archive", unfinished, "xztar", filter="data")
    else:
        download(unfinished)
    unfinished.rename(project)
    return code or packed or REPOSITORY


print("code:", get_code())
wheels = attached("wheels.json", "requirements.txt")
by_uv = ["--uv"] if shutil.which("uv") else []
gpu = ["--gpu"] if list(Path("/dev").glob("nvidia[0-9]*")) else []
extra = ["--wheels", wheels] if wheels else gpu  # the attached packages are those for a CPU
install = [sys.executable, "-I", "bootstrap.py", *by_uv, *extra]
run(*install)

# %% [markdown]
# ## Run
#
# What is done already is not done again: an interrupted run continues.

# %%
if PROFILE:
    run("digits", "profile", PROFILE)
run("dvc", "repro", "source")
if json.loads((project / "data/source.json").read_text())["kind"] == "sample":
    raise RuntimeError(
        f"There is no data in {INPUT}. Attach it: Add Input, Competitions, Digit Recognizer."
    )
run("dvc", "repro")
run("digits", "check")
for name in (
    "submissions/submission.csv",
    "submissions/submission.json",
    "reports/report.html",
    "reports/evaluation/metrics.json",
):
    shutil.copy(project / name, output)

# %% [markdown]
# ## Score
#
# Every image is scored by a network that did not train on it.

# %%
score = json.loads((project / "reports/evaluation/metrics.json").read_text())
display(
    Markdown(
        f"**Accuracy {score['accuracy']:.2%}**, 95 % interval {score['accuracy_low']:.2%} – "
        f"{score['accuracy_high']:.2%}: {score['errors']:,} errors in {score['n']:,} images."
    ),
    Markdown((project / "reports/evaluation/per_digit.md").read_text()),
)

# %% [markdown]
# ## Report
#
# It is in the output, too: `report.html`.


# %%
def show(name):
    """Show a page of the project's as it is; its links stay in it."""
    page = (project / name).read_text(encoding="utf-8")
    page = html.escape(page.replace("<head>", '<head><base href="about:srcdoc">', 1))
    frame = f'title="{name}" style="width: 100%; height: 800px; border: 1px solid #8888"'
    display(HTML(f'<div><iframe {frame} srcdoc="{page}"></iframe></div>'))


show("reports/report.html")

# %% [markdown]
# ## Compare two settings
#
# The run above is committed, `SECOND` runs after it, and both are compared image by image. The
# output stays that of the first run.

# %%
commit_run = """
from pathlib import Path
from dulwich import porcelain
if not Path(".git").exists():
    porcelain.init(".")
porcelain.add(".")
by = b"notebook <notebook@localhost>"
porcelain.commit(".", message="first run", author=by, committer=by)
"""
if SECOND:
    settings = (project / "params.yaml").read_text(encoding="utf-8")
    run("python", "-c", commit_run)
    run(*install)
    try:
        run("digits", "profile", SECOND)
        run("dvc", "repro")
        run("digits", "compare", "HEAD")
        show("reports/compare.html")
    finally:
        (project / "params.yaml").write_text(settings, encoding="utf-8")
