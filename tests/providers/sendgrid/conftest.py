"""The contract suite lives outside test files; pytest must rewrite its assertions to explain a failure."""

import pytest

pytest.register_assert_rewrite("tests.providers.contract")
