"""Every price of the catalogue against LiteLLM's own cost calculator: all models that are priced by
tokens, times shapes of usage. Where the two differ, `price_reasons.json` says why ours is right."""

import json
import os
import pathlib
import re
import subprocess
from datetime import datetime, timezone

import litellm
from litellm.cost_calculator import cost_per_token
from litellm.types.utils import (
    CacheCreationTokenDetails,
    CompletionTokensDetailsWrapper,
    PromptTokensDetailsWrapper,
    ServerToolUse,
    Usage,
)

import harness

REASONS = json.loads((pathlib.Path(__file__).parent / "price_reasons.json").read_text())
MODES = {"chat", "responses", "completion", "embedding", "realtime", None}
# LiteLLM's calculator signs in to these before it looks a price up.
SIGNS_IN = {"chatgpt", "github_copilot"}
# Beyond what rounding to a billionth of a dollar explains.
CLOSE = 2e-9

# One shape of usage each, in our words.
SHAPES = {
    "plain": {"input": 10_000, "output": 5_000},
    "answer": {"input": 7, "output": 100_000},
    "cached": {"input": 50_000, "cache_read": 40_000, "output": 1_000},
    "cache_write_5m": {"input": 50_000, "cache_write": 30_000, "output": 1_000},
    "cache_write_1h": {"input": 50_000, "cache_write_1h": 30_000, "output": 1_000},
    "cache_all": {
        "input": 90_000, "cache_read": 10_000, "cache_write": 20_000, "cache_write_1h": 30_000,
        "output": 1_000,
    },
    "above_128k": {"input": 150_000, "output": 1_000},
    "above_200k": {"input": 210_000, "cache_read": 100_000, "output": 2_000},
    "above_272k": {"input": 300_000, "cache_read": 100_000, "cache_write": 50_000, "output": 2_000},
    "at_200k": {"input": 200_000, "output": 2_000},
    "reasoning": {"input": 1_000, "output": 20_000, "reasoning": 15_000},
    "audio": {
        "input": 20_000, "input_audio": 15_000, "output": 10_000, "output_audio": 8_000,
    },
    "images": {
        "input": 20_000, "input_image": 15_000, "output": 10_000, "output_image": 8_000,
    },
    "batch": {"input": 50_000, "output": 10_000, "tier": "batch"},
    "batch_cached": {"input": 50_000, "cache_read": 20_000, "output": 10_000, "tier": "batch"},
    "priority": {"input": 50_000, "cache_read": 10_000, "output": 10_000, "tier": "priority"},
    "priority_long": {"input": 300_000, "cache_read": 10_000, "output": 10_000, "tier": "priority"},
    "flex": {"input": 50_000, "cache_read": 10_000, "output": 10_000, "tier": "flex"},
    "searches": {"input": 10_000, "output": 5_000, "searches": 3},
}
# A Wednesday at five in the morning: some off-peak hours are open, others are not.
AT = datetime(2026, 11, 18, 5, 0, tzinfo=timezone.utc)


def usage_of(shape):
    cached = shape.get("cache_read", 0)
    short, hour = shape.get("cache_write", 0), shape.get("cache_write_1h", 0)
    details = {
        "cached_tokens": cached,
        "audio_tokens": shape.get("input_audio", 0),
        "image_tokens": shape.get("input_image", 0),
    }
    if short or hour:
        details["cache_creation_tokens"] = short + hour
        details["cache_creation_token_details"] = CacheCreationTokenDetails(
            ephemeral_5m_input_tokens=short, ephemeral_1h_input_tokens=hour
        )
    more = {}
    if "searches" in shape:
        details["web_search_requests"] = shape["searches"]
        more["server_tool_use"] = ServerToolUse(web_search_requests=shape["searches"])
        more["server_side_tool_usage_details"] = {"web_search_calls": shape["searches"]}
    return Usage(
        prompt_tokens=shape["input"],
        completion_tokens=shape["output"],
        total_tokens=shape["input"] + shape["output"],
        prompt_tokens_details=PromptTokensDetailsWrapper(**details),
        completion_tokens_details=CompletionTokensDetailsWrapper(
            reasoning_tokens=shape.get("reasoning", 0),
            audio_tokens=shape.get("output_audio", 0),
            image_tokens=shape.get("output_image", 0),
        ),
        **more,
    )


def theirs(key, provider, shape):
    """What LiteLLM's calculator says, or why it says nothing."""
    usage = usage_of(shape)
    tier = shape.get("tier")
    try:
        prompt, answer = cost_per_token(
            model=key,
            custom_llm_provider=provider,
            usage_object=usage,
            call_type="retrieve_batch" if tier == "batch" else "completion",
            service_tier=None if tier in (None, "batch") else tier,
        )
        search = 0.0
        if "searches" in shape:
            from litellm.llms import get_cost_for_web_search_request

            info = litellm.get_model_info(model=key, custom_llm_provider=provider)
            # Providers without a calculator of their own are charged for each search that is counted.
            own = get_cost_for_web_search_request(
                custom_llm_provider=provider, usage=usage, model_info=info
            )
            sizes = info.get("search_context_cost_per_query") or {}
            medium = sizes.get("search_context_size_medium") or 0.0
            search = medium * shape["searches"] if own is None else own
        return prompt + answer + search
    except Exception as why:  # LiteLLM raises bare exceptions for what it cannot price.
        return f"{type(why).__name__}: {why}"[:200]


def ours(questions):
    """What `tollgate cost` says of each question."""
    lines = "".join(json.dumps(question) + "\n" for question in questions)
    done = subprocess.run(
        [harness.binary("tollgate"), "cost"], input=lines, capture_output=True, text=True, check=True, timeout=120
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def our_provider(litellm_provider):
    names = {
        "anthropic_text": "anthropic", "ai21_chat": "ai21", "azure_text": "azure",
        "bedrock_converse": "bedrock", "cohere_chat": "cohere", "ollama_chat": "ollama",
        "sagemaker_chat": "sagemaker", "sagemaker_nova": "sagemaker",
        "text-completion-codestral": "codestral", "text-completion-inception": "inception",
        "text-completion-openai": "openai", "watsonx_text": "watsonx", "vertex_ai_beta": "vertex_ai",
    }
    if litellm_provider.startswith("vertex_ai-"):
        return "vertex_ai"
    return names.get(litellm_provider, litellm_provider)


def entries():
    """The map's entries that are priced by tokens: key, LiteLLM's provider, our model string."""
    path = pathlib.Path(litellm.__file__).parent / "model_prices_and_context_window_backup.json"
    found = {}
    for key, entry in json.loads(path.read_text()).items():
        litellm_provider = entry.get("litellm_provider")
        if key == "sample_spec" or not litellm_provider or entry.get("mode") not in MODES:
            continue
        if litellm_provider in SIGNS_IN:
            continue
        if "input_cost_per_token" not in entry and "tiered_pricing" not in entry:
            continue
        provider = our_provider(litellm_provider)
        first, _, rest = key.partition("/")
        named = bool(rest) and (first == litellm_provider or our_provider(first) == provider)
        model = f"{provider}/{rest if named else key}"
        if named or model not in found:
            found[model] = (key, litellm_provider, entry)
    return found


def reason(model, shape, entry):
    """Why a difference is right, if it is."""
    for listed in REASONS:
        fields = listed.get("fields", [])
        if (
            re.fullmatch(listed["model"], model)
            and (shape in listed["shapes"] or listed["shapes"] == ["*"])
            and all(any(re.fullmatch(field, name) for name in entry) for field in fields)
            and not any(name in entry for name in listed.get("without", []))
        ):
            listed["used"] = listed.get("used", 0) + 1
            return listed
    return None


def test_every_price_is_litellms_or_better(monkeypatch):
    from litellm.litellm_core_utils.llm_cost_calc import utils

    monkeypatch.setattr(utils, "current_billing_time", lambda: AT)
    found = entries()
    assert len(found) > 3_000 and len(SHAPES) >= 12
    asked = [
        (model, key, provider, entry, shape)
        for model, (key, provider, entry) in found.items()
        for shape in SHAPES
    ]
    answers = ours(
        {"model": model, "at": int(AT.timestamp()), **SHAPES[shape]}
        for model, _, _, _, shape in asked
    )
    assert len(answers) == len(asked)
    same, explained, wrong, unpriced = 0, 0, [], 0
    for (model, key, provider, entry, shape), answer in zip(asked, answers):
        told = theirs(key, our_provider(provider) if provider.startswith("vertex_ai") else provider, SHAPES[shape])
        mine = float(answer["usd"]) if "usd" in answer else answer["error"]
        if isinstance(told, float) and isinstance(mine, float) and abs(told - mine) <= CLOSE + 1e-9 * told:
            same += 1
        elif isinstance(told, str) and isinstance(mine, str):
            unpriced += 1
        elif reason(model, shape, entry):
            explained += 1
        else:
            wrong.append(f"{model} {shape}: LiteLLM {told}, Tollgate {mine}")
    print(f"{len(found)} models, {len(asked)} prices: {same} the same, {explained} explained, "
          f"{unpriced} without a price in both, {len(wrong)} unexplained")
    if report := os.environ.get("TOLLGATE_PRICE_REPORT"):
        pathlib.Path(report).write_text("\n".join(wrong))
    assert not wrong, f"{len(wrong)} prices differ:\n" + "\n".join(wrong[:50])
    idle = [listed["why"] for listed in REASONS if "used" not in listed]
    assert not idle, f"reasons that explain nothing: {idle}"
