"""Names that models and prompts share, taken and given up by several at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from core.errors import AlreadyExists
from core.models import RegistryName
from core.operations import registry_names
from lifecycle.models import RegisteredModel
from lifecycle.operations.registered_models import create_model, delete_model, rename_model
from prompts.models import Prompt
from prompts.operations.prompts import create_prompt, delete_prompt, rename_prompt
from tests.factories import make_model, make_prompt, make_user

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 10


def all_at_once(*changes):
    """What each came to: None, or the refusal. Anything else that happens fails the test."""
    together = threading.Barrier(len(changes))

    def carried_out(change):
        try:
            together.wait(timeout=10)
            change()
        except AlreadyExists as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(changes)) as threads:
        return list(threads.map(carried_out, changes))


def names_are_those_of_rows():
    models = RegisteredModel.objects.kept().values_list("name", flat=True)
    prompts = Prompt.objects.kept().values_list("name", flat=True)
    held = [(name, "model") for name in models] + [(name, "prompt") for name in prompts]
    return sorted(RegistryName.objects.values_list("name", "kind")) == sorted(held)


@pytest.fixture
def author():
    return make_user("scientist")


def test_of_many_who_want_one_name_one_gets_it(author):
    for number in range(ROUNDS):
        name = f"name {number}"
        model, prompt = make_model(created_by=author), make_prompt(actor=author)
        refusals = all_at_once(
            lambda name=name: create_model(actor=author, name=name),
            lambda name=name: create_prompt(actor=author, name=name),
            lambda name=name, model=model: rename_model(actor=author, model=model, name=name),
            lambda name=name, prompt=prompt: rename_prompt(actor=author, prompt=prompt, name=name),
        )
        assert sum(refusal is None for refusal in refusals) == 1, refusals
    assert names_are_those_of_rows()


def test_a_name_that_is_given_up_goes_to_who_asks_for_it(author):
    for number in range(ROUNDS):
        model = make_model(name=f"model {number}", created_by=author)
        prompt = make_prompt(name=f"prompt {number}", actor=author)
        all_at_once(
            lambda model=model: delete_model(actor=author, model=model),
            lambda prompt=prompt: delete_prompt(actor=author, prompt=prompt),
            lambda number=number: create_prompt(actor=author, name=f"model {number}"),
            lambda number=number: create_model(actor=author, name=f"prompt {number}"),
        )
        assert names_are_those_of_rows()


def test_two_that_want_each_others_names_wait_for_nobody(author):
    model, prompt = make_model(name="a", created_by=author), make_prompt(name="b", actor=author)
    for _round in range(ROUNDS):
        refusals = all_at_once(
            lambda: rename_model(actor=author, model=model, name="b"),
            lambda: rename_prompt(actor=author, prompt=prompt, name="a"),
        )
        assert None not in refusals
    assert names_are_those_of_rows()


def test_a_name_that_nothing_has_is_not_changed_unseen(author):
    with pytest.raises(RegistryName.DoesNotExist), transaction.atomic():
        registry_names.change("nobody's", "mine")
