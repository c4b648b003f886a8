"""Fixtures: one scripted upstream and one Tollgate for all tests, a fresh key where one is needed."""

import os

# LiteLLM fetches its price list from the internet when it is imported, unless told not to.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
# No client of these tests may leave the machine through a proxy.
for name in list(os.environ):
    if name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
        del os.environ[name]

import pytest

import grid
from harness import Gate, Upstream

# The page that the product begins with, word for word.
SEED_PAGE = """\
model_list:
  - model_name: apertis-model
    litellm_params:
      model: apertis/model-name  # Replace with actual model name
      api_key: os.environ/STIMA_API_KEY
"""

CONFIG = """\
model_list:
  - model_name: apertis-model
    litellm_params:
      model: apertis/m
      api_key: os.environ/STIMA_API_KEY
  - model_name: m
    litellm_params:
      model: apertis/m
      api_key: os.environ/STIMA_API_KEY
  - model_name: apertis/*
    litellm_params:
      model: apertis/*
      api_key: os.environ/STIMA_API_KEY
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_base: {upstream}/v1
      api_key: sk-upstream
  - model_name: text-embedding-3-small
    litellm_params:
      model: openai/text-embedding-3-small
      api_base: {upstream}/v1
      api_key: sk-upstream
  - model_name: command-a
    litellm_params:
      model: cohere_chat/command-a-03-2025
      api_base: {upstream}/v2
      api_key: co-upstream
  - model_name: embed-v4.0
    litellm_params:
      model: cohere/embed-v4.0
      api_base: {upstream}/v2
      api_key: co-upstream
  - model_name: llama3.2
    litellm_params:
      model: ollama_chat/llama3.2
      api_base: {upstream}
  - model_name: nomic-embed-text
    litellm_params:
      model: ollama/nomic-embed-text
      api_base: {upstream}
  - model_name: priced
    litellm_params:
      model: openai/m
      api_base: {upstream}/v1
      api_key: sk-upstream
      input_cost_per_token: 0.001
      output_cost_per_token: 0.002
  - model_name: claude-sonnet-4-5
    litellm_params:
      model: anthropic/claude-sonnet-4-5
      api_base: {upstream}
      api_key: sk-ant-upstream
  - model_name: claude-broken/*
    litellm_params:
      model: anthropic/*
      api_base: {upstream}
      api_key: sk-ant-upstream
  - model_name: bridged/*
    litellm_params:
      model: openai/*
      api_base: {upstream}/v1
      api_key: sk-upstream
  - model_name: gemini-2.5-flash
    litellm_params:
      model: gemini/gemini-2.5-flash
      api_base: {upstream}
      api_key: AIza-upstream
  - model_name: gemini-3-pro-preview
    litellm_params:
      model: gemini/gemini-3-pro-preview
      api_base: {upstream}/v1beta
      api_key: AIza-upstream
  - model_name: gemini-broken/*
    litellm_params:
      model: gemini/*
      api_base: {upstream}
      api_key: AIza-upstream
  - model_name: refused
    litellm_params:
      model: openai/m
      api_base: http://127.0.0.1:9/v1
      api_key: sk-upstream
router_settings:
  num_retries: 0
  disable_cooldowns: true
"""


@pytest.fixture(scope="session")
def upstream():
    upstream = Upstream()
    yield upstream
    upstream.stop()


@pytest.fixture(autouse=True)
def fresh(upstream):
    """No test sees the requests or the script of another."""
    upstream.forget()


def upstream_env(upstream):
    return {"STIMA_API_KEY": "sk-stima", "STIMA_API_BASE": f"{upstream.url}/apertis/v1"}


@pytest.fixture(scope="session")
def gate(upstream):
    gate = Gate(CONFIG.format(upstream=upstream.url), upstream_env(upstream))
    yield gate
    gate.stop()


@pytest.fixture(scope="session")
def key(gate):
    """A key without limits."""
    return gate.key(key_alias="clients")


@pytest.fixture(scope="session")
def seed_gate(upstream):
    gate = Gate(SEED_PAGE, upstream_env(upstream))
    yield gate
    gate.stop()


@pytest.fixture(scope="session")
def grid_gate(upstream):
    """A Tollgate with a model for each upstream dialect."""
    gate = Gate(grid.CONFIG.replace("$UPSTREAM", upstream.url))
    yield gate
    gate.stop()


@pytest.fixture(scope="session")
def grid_key(grid_gate):
    return grid_gate.key(key_alias="grid")
