"""What a data scientist does with prompts by MLflow's client: see `program`."""

import json
import sys
import threading

import mlflow
from mlflow import MlflowClient
from program import refusal  # the folder of this file is where Python looks first
from pydantic import BaseModel

EXPERIMENTS = "_mlflow_experiment_ids"
LINKED = "mlflow.linkedPrompts"
MISSING = ["nothing", "prompts:/nothing/1", "prompts:/greeting/9", "prompts:/greeting@nobody", "empty"]
BADLY_NAMED = ["prompts:/greeting", "prompts:/greeting/x", "models:/greeting/1", "a/b"]
MESSAGES = [
    {"role": "system", "content": "You are a {{style}} assistant."},
    {"role": "user", "content": "{{question}}"},
]
CONFIG = {"model_name": "small", "temperature": 0.7, "max_tokens": 100, "seed": 7}


class Answer(BaseModel):
    """What a model is to answer with."""

    answer: str
    sure: bool = False


def main() -> None:
    mlflow.set_experiment("prompts")
    outcome = {}
    for part in (register, load, fill, alias, tag, use_in_a_run, link_to_a_model, find, meet_a_model, delete):
        outcome[part.__name__] = part()
        settle()
    # The last line: the client says where its runs are before.
    sys.stdout.write(json.dumps(outcome, sort_keys=True) + "\n")


def settle() -> None:
    """Wait for what the client does beside: it tells the server which experiments and models have a prompt."""
    for thread in threading.enumerate():
        if thread.name.startswith("link_prompt"):
            thread.join()


def loaded(name: str, **asked) -> dict | None:
    """As the server has it, not the client's cache."""
    prompt = mlflow.genai.load_prompt(name, cache_ttl_seconds=0, **asked)
    settle()
    return shown(prompt) if prompt else None


def shown(prompt) -> dict:
    return {
        "name": prompt.name,
        "version": prompt.version,
        "uri": prompt.uri,
        "template": prompt.template,
        "message": prompt.commit_message,
        "variables": sorted(prompt.variables),
        "tags": told(prompt.tags),
        "aliases": sorted(prompt.aliases),
        "format": prompt.response_format,
        "config": prompt.model_config,
        "text": prompt.is_text_prompt,
        "times": [type(when).__name__ for when in (prompt.creation_timestamp, prompt.last_updated_timestamp)],
    }


def told(tags: dict) -> dict:
    """Experiments by how many they are: their ids differ from one server to the next."""
    return {
        key: len(value.strip(",").split(",")) if key == EXPERIMENTS else value for key, value in tags.items()
    }


def register() -> list:
    made = []
    for name, template, more in (
        ("greeting", "Hello {{name}}.", {"commit_message": "First.", "tags": {"team": "risk", "a.b": "c"}}),
        ("greeting", "Good day, {{ title }} {{name}}.\n안녕.", {"tags": {"team": "sales"}}),
        ("chat", MESSAGES, {"response_format": Answer, "model_config": CONFIG}),
        ("chat", MESSAGES[1:], {"response_format": {"type": "object"}, "commit_message": ""}),
        ("summary", "Say {{text}} in {% if short %}ten{% else %}fifty{% endif %} words.", {}),
        ("other_prompt-1.0", "No variables, 'quotes' and \\ \"more\".", {}),
    ):
        made.append(shown(mlflow.genai.register_prompt(name, template, **more)))
        settle()
    client = MlflowClient()
    client.create_prompt("empty", description="Nothing yet.", tags={"team": "risk"})
    made.append(prompt_told(client.get_prompt("empty")))
    return made


def prompt_told(prompt) -> list | None:
    return prompt and [prompt.name, prompt.description, told(prompt.tags)]


def load() -> dict:
    return {
        "latest": loaded("greeting"),
        "by version": loaded("greeting", version=1),
        "by a version's text": loaded("greeting", version="2"),
        "by address": loaded("prompts:/greeting/1"),
        "latest by address": loaded("prompts:/greeting@latest"),
        "chat": [loaded("chat", version=1), loaded("prompts:/chat@latest")],
        "others": [loaded("summary"), loaded("other_prompt-1.0")],
        "cached": shown(mlflow.genai.load_prompt("greeting", version=1))
        == shown(mlflow.genai.load_prompt("greeting", version=1)),
        "missing": [loaded(name, allow_missing=True) for name in MISSING],
        "refused": [refusal(lambda name=name: loaded(name)) for name in MISSING + BADLY_NAMED],
        "twice": refusal(lambda: loaded("prompts:/greeting/1", version=1)),
    }


def fill() -> dict:
    greeting, chat, summary = (
        mlflow.genai.load_prompt(f"prompts:/{name}@latest") for name in ("greeting", "chat", "summary")
    )
    settle()
    partly = greeting.format(title="Ms", allow_partial=True)
    return {
        "text": greeting.format(title="Ms", name="Sora {{title}}"),
        "partly": partly.template,
        "then": partly.format(name="Sora"),
        "chat": chat.format(question="Why?"),
        "conditions": [summary.format(text="this", short=short) for short in (True, False)],
        "single braces": greeting.to_single_brace_format(),
        "refused": refusal(lambda: greeting.format(title="Ms")),
    }


def alias() -> dict:
    def named(name: str) -> int:
        prompt = mlflow.genai.load_prompt(f"prompts:/greeting@{name}")
        settle()
        return prompt.version

    mlflow.genai.set_prompt_alias("greeting", "champion", 1)
    mlflow.genai.set_prompt_alias("greeting", "old", 1)
    before = [named("champion"), named("old"), loaded("greeting", version=1)["aliases"]]
    mlflow.genai.set_prompt_alias("greeting", alias="champion", version=2)
    after = [named("champion"), loaded("greeting", version=1)["aliases"], loaded("greeting")["aliases"]]
    mlflow.genai.delete_prompt_alias("greeting", "old")
    client = MlflowClient()
    return {
        "before": before,
        "after": after,
        "by the client": [
            client.get_prompt_version("greeting", "champion").version,
            client.get_prompt_version_by_alias("greeting", "latest").version,
        ],
        "refused": [
            refusal(lambda: named("old")),
            refusal(lambda: mlflow.genai.set_prompt_alias("greeting", "champion", 9)),
            refusal(lambda: mlflow.genai.set_prompt_alias("nothing", "champion", 1)),
            refusal(lambda: mlflow.genai.set_prompt_alias("greeting", "latest", 1)),
            refusal(lambda: mlflow.genai.delete_prompt_alias("greeting", "old")),
            refusal(lambda: mlflow.genai.delete_prompt_alias("nothing", "old")),
        ],
    }


def tag() -> dict:
    genai = mlflow.genai
    genai.set_prompt_tag("greeting", "language", "ko")
    genai.set_prompt_tag("greeting", "language", "en")
    genai.delete_prompt_tag("greeting", "a.b")
    genai.set_prompt_version_tag("greeting", 1, "checked", "yes")
    genai.set_prompt_version_tag("greeting", "2", "checked", "no")
    genai.delete_prompt_version_tag("greeting", 2, "checked")
    genai.set_prompt_model_config("greeting", 1, {"temperature": 0.1})
    genai.delete_prompt_model_config("chat", 1)
    return {
        "prompt": told(genai.get_prompt_tags("greeting")),
        "versions": [loaded("greeting", version=1), loaded("greeting", version=2), loaded("chat", version=1)],
        "refused": [
            refusal(lambda: genai.set_prompt_tag("nothing", "k", "v")),
            refusal(lambda: genai.delete_prompt_tag("greeting", "nothing")),
            refusal(lambda: genai.set_prompt_version_tag("greeting", 9, "k", "v")),
            refusal(lambda: genai.delete_prompt_version_tag("greeting", 9, "k")),
            refusal(lambda: genai.get_prompt_tags("nothing")),
        ],
    }


def use_in_a_run() -> dict:
    client = MlflowClient()
    with mlflow.start_run(run_name="using") as run:
        for name in ("greeting", "prompts:/chat/1", "prompts:/greeting@champion", "prompts:/greeting/1"):
            mlflow.genai.load_prompt(name)
            settle()
        made = mlflow.genai.register_prompt("summary", "Sum up {{text}}.", commit_message="In a run.")
        settle()
    client.link_prompt_version_to_run(run.info.run_id, "prompts:/summary/1")
    settle()
    return {
        "linked": json.loads(mlflow.get_run(run.info.run_id).data.tags[LINKED]),
        "listed": [prompt.uri for prompt in client.list_logged_prompts(run.info.run_id)],
        "made": shown(made),
        "refused": refusal(lambda: client.link_prompt_version_to_run("0" * 32, "prompts:/summary/1")),
    }


def link_to_a_model() -> dict:
    model = mlflow.initialize_logged_model(name="assistant")
    for version in (1, 2):
        mlflow.genai.load_prompt("greeting", version=version, model_id=model.model_id)
        settle()
    mlflow.genai.load_prompt("chat", link_to_model=False, model_id=model.model_id)
    settle()
    mlflow.finalize_logged_model(model.model_id, "READY")
    return {"linked": json.loads(mlflow.get_logged_model(model.model_id).tags[LINKED])}


def find() -> dict:
    client, search = MlflowClient(), mlflow.genai.search_prompts
    experiment = mlflow.get_experiment_by_name("prompts").experiment_id

    def named(filter: str | None = None, **asked) -> list:
        return sorted(prompt.name for prompt in search(filter, **asked))

    versions = client.search_prompt_versions("greeting")
    first = client.search_prompt_versions("chat", max_results=1)
    second = client.search_prompt_versions("chat", max_results=1, page_token=first.token)
    page = client.search_prompts(max_results=3, order_by=["name ASC"])
    rest = client.search_prompts(max_results=3, order_by=["name ASC"], page_token=page.token)
    return {
        "all": sorted((prompt_told(prompt) for prompt in search()), key=json.dumps),
        "by name": [named("name LIKE 'g%'"), named("name ILIKE 'O%'"), named("name = 'nothing'")],
        "by tag": [named("tags.team = 'risk'"), named("tags.language = 'en' AND name = 'greeting'")],
        "by experiment": [
            named(f'experiment_id = "{experiment}"'),
            named(f"experiment_id = '{experiment}' AND name LIKE 's%'"),
            named("experiment_id = '987654'"),
        ],
        "ordered": [prompt.name for prompt in search("name LIKE '%t%'", order_by=["name DESC"])],
        "pages": [[prompt.name for prompt in some] for some in (page, rest)],
        "versions": [shown(version) for version in versions],
        "version pages": [[version.version for version in some] for some in (first, second)],
        "no versions": len(client.search_prompt_versions("empty")),
        "among models": [
            sorted(one.name for one in client.search_registered_models()),
            len(client.search_model_versions("name = 'greeting'")),
        ],
        "refused": [
            refusal(lambda: named("bogus = 'x'")),
            refusal(lambda: named("experiment_id = 'x'")),
            refusal(lambda: client.search_prompt_versions("nothing")),
        ],
    }


def meet_a_model() -> dict:
    """Prompts and models share their names, and are no use as one another."""
    client = MlflowClient()
    client.create_registered_model("flower")
    return {
        "prompt of a model's name": [
            refusal(lambda: mlflow.genai.register_prompt("flower", "x")),
            refusal(lambda: client.create_prompt("flower")),
            client.get_prompt("flower"),
            refusal(lambda: client.search_prompt_versions("flower")),
            refusal(lambda: loaded("flower", version=1)),
            loaded("flower", version=1, allow_missing=True),
        ],
        "model of a prompt's name": [
            refusal(lambda: client.create_registered_model("greeting")),
            refusal(lambda: client.get_model_version("greeting", "1")),
            refusal(lambda: client.get_model_version_by_alias("greeting", "champion")),
            refusal(lambda: client.get_latest_versions("greeting")),
            refusal(lambda: client.copy_model_version("models:/greeting/1", "rose")),
            refusal(lambda: mlflow.register_model("models:/greeting/1", "flower")),
        ],
        "bad names": [
            refusal(lambda name=name: mlflow.genai.register_prompt(name, "x"))
            for name in ("", "two words", "a/b", "프롬프트")
        ],
        "bad prompts": [
            refusal(lambda: mlflow.genai.register_prompt("bad", "v" * 100_001)),
            client.get_prompt("bad"),
            refusal(lambda: mlflow.genai.register_prompt("bad", "x", model_config={"temperature": -1})),
        ],
    }


def delete() -> dict:
    client = MlflowClient()
    client.delete_prompt_version("greeting", "2")
    latest, gone = loaded("greeting"), loaded("prompts:/greeting/2", allow_missing=True)
    champion = refusal(lambda: loaded("prompts:/greeting@champion"))
    again = mlflow.genai.register_prompt("greeting", "Back, {{name}}.").version
    settle()
    client.delete_prompt("chat")
    left = [prompt.name for prompt in mlflow.genai.search_prompts(order_by=["name"])]
    anew = shown(mlflow.genai.register_prompt("chat", "A text now."))
    settle()
    return {
        "latest": latest,
        "gone": gone,
        "champion": champion,
        "again": again,
        "left": left,
        "anew": [anew, loaded("chat")],
        "refused": [
            refusal(lambda: client.delete_prompt_version("greeting", "2")),
            refusal(lambda: client.delete_prompt_version("greeting", "x")),
            refusal(lambda: client.delete_prompt("nothing")),
            refusal(lambda: loaded("prompts:/chat/2")),
        ],
    }


if __name__ == "__main__":
    main()
