"""Calls that the server refuses as the caller's mistake, and what it says of them."""

import pytest
from botocore.exceptions import ClientError


def text_of(call):
    """The message of the ClientException that the call ends with."""
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == "ClientException"
    return error["Message"]


def refused(call, *words):
    """The call ends with a ClientException whose message holds these words."""
    message = text_of(call)
    for word in words:
        assert word in message, message
