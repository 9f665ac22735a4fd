"""`traceparent` in, `X-Trace-Id` out, on every answer."""

import pytest

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_it_works(caller):
    answer = caller("").get("/v1/things/me", headers={"traceparent": TRACEPARENT}).expect(200)
    assert answer.headers["X-Trace-Id"] == "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize("sent", ["", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", TRACEPARENT + "-x"])
def test_it_rejects_an_invalid_one_by_beginning_a_new_trace(nobody, sent):
    first = nobody.get("/v1/nothing", headers={"traceparent": sent}).expect(404)
    second = nobody.get("/v1/nothing", headers={"traceparent": sent}).expect(404)
    assert len(first.headers["X-Trace-Id"]) == 32
    assert first.headers["X-Trace-Id"] != second.headers["X-Trace-Id"]
    assert first.json["trace_id"] == first.headers["X-Trace-Id"]
