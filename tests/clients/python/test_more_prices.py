"""Prices of providers that neither LiteLLM's map nor `genai-prices` has: LiteLLM's own calculator is
told what the catalogue says of them, and every model of theirs must come out the same, times shapes of
usage. The figures themselves are checked where they are read (`cargo xtask catalogue`)."""

import json
import pathlib

import litellm
from litellm.cost_calculator import cost_per_token

from test_genai_prices import AT, BESIDE, CATALOGUE
from test_prices import CLOSE, SHAPES, our_provider, ours, usage_of

# LiteLLM's names of what the catalogue's lines say.
FIELDS = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "reasoning": "output_cost_per_reasoning_token",
    "input_audio": "input_cost_per_audio_token",
    "output_audio": "output_cost_per_audio_token",
}
# A rate that is not said is that of its side.
SIDES = {
    "cache_read": "input", "cache_write": "input", "cache_write_1h": "cache_write",
    "reasoning": "output", "input_audio": "input", "output_audio": "output",
}
KNOWN = {"provider", "name", "mode", "max_input", "max_output", "can", "variants", *FIELDS}
ASKED = {name: shape for name, shape in SHAPES.items() if "tier" not in shape and name not in ("images", "searches")}


def told(card):
    """The card as an entry of LiteLLM's map; nothing that it says may be left out."""
    assert set(card) <= KNOWN, f"{card['provider']}/{card['name']}: {set(card) - KNOWN}"
    rates = {"output": "0", **{name: card[name] for name in FIELDS if name in card}}
    entry = {"litellm_provider": "openai", "mode": "chat"}

    def put(rates, suffix):
        for name, field in FIELDS.items():
            rate = rates.get(name)
            if rate is None:
                side = SIDES[name]
                rate = rates.get(side, rates[SIDES.get(side, side)])
            entry[field + suffix] = float(rate)

    put(rates, "")
    for variant in card.get("variants", []):
        assert set(variant) == {"above", "rates"}, variant
        # Thresholds are laid over each other, lowest first.
        rates = {**rates, **variant["rates"]}
        put(rates, f"_above_{variant['above']}_tokens")
    return entry


def cards():
    """The priced cards of providers that neither source has, by our model string."""
    path = pathlib.Path(litellm.__file__).parent / "model_prices_and_context_window_backup.json"
    priced = [entry for entry in json.loads(path.read_text()).values() if "cost" in " ".join(entry)]
    elsewhere = BESIDE | {"demo"} | {our_provider(entry["litellm_provider"]) for entry in priced}
    found = {}
    for line in CATALOGUE.read_text().splitlines():
        card = json.loads(line)
        if card["provider"] not in elsewhere and "input" in card:
            found[f"{card['provider']}/{card['name']}"] = card
    return found


def test_every_other_price_is_what_litellm_makes_of_it():
    found = cards()
    of = {model.split("/")[0] for model in found}
    assert len(found) > 3_000 and len(of) > 45, f"{len(found)} models of {len(of)}"
    # LiteLLM knows better of names that look like OpenAI's, so they are numbers.
    numbers = {model: f"m-{i}" for i, model in enumerate(found)}
    litellm.register_model({f"openai/{numbers[model]}": told(card) for model, card in found.items()})
    asked = [(model, shape) for model in found for shape in ASKED]
    answers = ours({"model": model, "at": int(AT.timestamp()), **ASKED[shape]} for model, shape in asked)
    wrong = []
    for (model, shape), answer in zip(asked, answers, strict=True):
        theirs = sum(
            cost_per_token(
                model=numbers[model], custom_llm_provider="openai", usage_object=usage_of(ASKED[shape])
            )
        )
        mine = float(answer["usd"]) if "usd" in answer else answer["error"]
        if not isinstance(mine, float) or abs(theirs - mine) > CLOSE + 1e-9 * theirs:
            wrong.append(f"{model} {shape}: LiteLLM {theirs}, Tollgate {mine}")
    print(f"{len(found)} models of {len(of)} providers, {len(asked)} prices, {len(wrong)} differ")
    assert not wrong, f"{len(wrong)} prices differ:\n" + "\n".join(wrong[:50])
