"""The same requests to MLflow's own server and to ours get the same answers."""

import json
import os
import signal
import subprocess

import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tests.mlflow_rest.artifact_scenarios import artifacts
from tests.mlflow_rest.logged_model_scenarios import logged_models
from tests.mlflow_rest.prompt_scenarios import prompts
from tests.mlflow_rest.registry_scenarios import Registry, registry
from tests.mlflow_rest.run_scenarios import runs
from tests.mlflow_rest.run_search_scenarios import searches
from tests.mlflow_rest.scenarios import experiments
from tests.mlflow_server import PYTHON, MLflowServer
from tests.stack import ROOT, Stack, free_port, wait_until

pytestmark = pytest.mark.slow

IRIS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
CLIENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
# Where MLflow answers 500, at which its client tries again for minutes. Nothing else would come of that: ours refuses.
FAULTS_OF_MLFLOWS = {
    (500, "INVALID_STATE"): (409, "INVALID_STATE"),
    (500, "INTERNAL_ERROR"): (400, "INVALID_PARAMETER_VALUE"),
    (500, "no JSON"): (400, "INVALID_PARAMETER_VALUE"),
}


@pytest.fixture
def theirs(tmp_path_factory):
    with MLflowServer(tmp_path_factory.mktemp("mlflow")) as server:
        yield server.url


@pytest.fixture
def ours(tmp_path):
    """A platform with nothing in it, in which stages take no approval, as MLflow's server is."""
    with Stack(tmp_path / "ours", APPROVAL_REQUIRED_STAGES="") as stack:
        yield stack


@pytest.mark.parametrize("door", ["token", "password"])
def test_mlflows_client_works_with_nothing_changed_but_the_address(ours, monkeypatch, door):
    token = ours.token("sora", "scientist")
    if door == "token":
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "sora")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", token)
    client = MlflowClient(tracking_uri=ours.url)

    made = client.create_experiment(f"by {door}", tags={"team": "risk"})
    client.set_experiment_tag(made, "stage", "first")
    client.rename_experiment(made, f"renamed by {door}")
    (found,) = client.search_experiments(filter_string=f"name LIKE '%{door}' AND tags.stage = 'first'")

    assert (found.experiment_id, found.name) == (made, f"renamed by {door}")
    assert found.tags == {"team": "risk", "stage": "first"}
    client.delete_experiment(made)
    assert client.get_experiment(made).lifecycle_stage == "deleted"
    client.restore_experiment(made)
    assert client.get_experiment_by_name(f"renamed by {door}").lifecycle_stage == "active"
    with pytest.raises(MlflowException, match="already") as refused:
        client.create_experiment(f"renamed by {door}")
    assert refused.value.error_code == "RESOURCE_ALREADY_EXISTS"


def test_the_same_requests_get_the_same_answers(theirs, ours):
    one, other = Registry(theirs), Registry(ours.url, ours.token("sora", "scientist"))

    for scenario in (experiments, runs, searches, artifacts, logged_models, registry, prompts):
        scenario(one)
        scenario(other)

    assert len(one.noted) == len(other.noted) >= 1500
    expected = [
        (question, FAULTS_OF_MLFLOWS[answer] if answer[0] == 500 else answer)
        for question, answer in one.noted
    ]
    assert [pair for pair in zip(expected, other.noted, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize(
    ("program", "part"),
    [("program.py", "steps"), ("model_program.py", "find"), ("prompt_program.py", "find")],
)
def test_a_program_comes_to_the_same_with_either_server(theirs, ours, program, part):
    token = ours.token("sora", "scientist")
    expected = outcome_of(program, theirs)
    assert outcome_of(program, ours.url, MLFLOW_TRACKING_TOKEN=token) == expected
    assert expected[part], "the program itself found something"


def outcome_of(program, url, **environment):
    environment = CLIENT | environment | {"MLFLOW_TRACKING_URI": url}
    done = subprocess.run(
        [PYTHON, ROOT / "tests/mlflow_rest" / program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def environment(ours, monkeypatch):
    """Where MLflow's programs find our server."""
    told = CLIENT | {
        "MLFLOW_TRACKING_URI": ours.url,
        "MLFLOW_TRACKING_TOKEN": ours.token("sora", "scientist"),
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{PYTHON.parent}:{os.environ['PATH']}")
    return told


def command(*words):
    done = subprocess.run(["mlflow", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_mlflows_command_line_works(environment, tmp_path):
    client = MlflowClient()
    command("experiments", "create", "--experiment-name", "by hand")
    assert "by hand" in command("experiments", "search")
    experiment = client.get_experiment_by_name("by hand").experiment_id
    run = client.create_run(experiment, run_name="first").info.run_id
    file = tmp_path / "notes.txt"
    file.write_text("kept")

    command("artifacts", "log-artifact", "--local-file", str(file), "--run-id", run)
    assert json.loads(command("artifacts", "list", "--run-id", run))[0]["path"] == "notes.txt"
    there = tmp_path / "there"
    command(
        "artifacts", "download", "--run-id", run, "--artifact-path", "notes.txt", "--dst-path", str(there)
    )
    assert (there / "notes.txt").read_text() == "kept"
    assert "first" in command("runs", "list", "--experiment-id", experiment)
    assert run in command("runs", "describe", "--run-id", run)
    command("runs", "delete", "--run-id", run)
    command("runs", "restore", "--run-id", run)
    command("experiments", "delete", "--experiment-id", experiment)
    command("experiments", "restore", "--experiment-id", experiment)
    assert client.get_run(run).info.lifecycle_stage == "active"


def test_mlflow_serves_a_model_of_our_registry(ours, environment):
    outcome_of("model_program.py", ours.url)
    MlflowClient().set_registered_model_alias("flower", "champion", "1")
    port = free_port()
    words = [
        "models",
        "serve",
        "-m",
        "models:/flower@champion",
        "--env-manager",
        "local",
        "--port",
        str(port),
    ]
    server = subprocess.Popen(["mlflow", *words], start_new_session=True)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: pings(address), seconds=120, what="MLflow serves the model", poll=0.5)
        asked = {"dataframe_split": {"columns": IRIS, "data": [[5.1, 3.5, 1.4, 0.2]]}}
        answer = requests.post(f"{address}/invocations", json=asked, timeout=60)
        assert -1 < answer.json()["predictions"][0] < 1, answer.text  # the first kind is 0
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def pings(address):
    try:
        return requests.get(f"{address}/ping", timeout=5).ok
    except requests.RequestException:
        return False
