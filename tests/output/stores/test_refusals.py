"""What an object store refuses, or does not answer, is told with its address and the reason."""

from __future__ import annotations

import http.client
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import boto3
import pytest

from digitvae.base.errors import OutputError
from digitvae.output.stores import Store, open_store
from tests.support.bucket import Bucket, forget_clients
from tests.support.s3_server import HOST, unused_port

PART = 16 << 20


def write(store: Store) -> None:
    with store.new_file("a") as file:
        file.write(b"12345")


def write_parts(store: Store) -> None:
    with store.new_file("a") as file:
        file.write(bytes(PART))


def read(store: Store) -> None:
    with store.open("a") as file:
        file.read()


WAYS: dict[str, Callable[[Store], object]] = {
    "cannot read 's3://BUCKET/digits': ": lambda store: store.entries(),
    "cannot read 's3://BUCKET/digits/a': ": read,
    "cannot write 's3://BUCKET/digits/a': ": write,
    "cannot write 's3://BUCKET/digits/a':  ": write_parts,
    "cannot write 's3://BUCKET/digits/b': ": lambda store: store.delete("b"),
}
"""What can be refused, by what its message begins with."""


def assert_all_ways_are_refused(bucket: str, reason: str, of_reading: str | None = None) -> None:
    store = open_store(f"s3://{bucket}/digits")
    for beginning, way in WAYS.items():
        with pytest.raises(OutputError) as caught:
            way(store)
        message = str(caught.value)
        assert message.startswith(beginning.replace("BUCKET", bucket).rstrip())
        assert (of_reading if way is read and of_reading else reason) in message
        assert "\n" not in message


@contextmanager
def asking_who_it_is(endpoint: str) -> Iterator[None]:
    """Have the server look at keys, as others do all the time."""

    def requests_before(number: str) -> None:
        connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=30)
        connection.request("POST", "/moto-api/reset-auth", number)
        assert connection.getresponse().status == http.client.OK
        connection.close()

    requests_before("0")
    try:
        yield
    finally:
        requests_before("inf")


def test_keys_that_nobody_knows_are_told(
    bucket: Bucket, new_clients: None, s3: dict[str, str]
) -> None:
    bucket.put("digits/a", b"1")
    with asking_who_it_is(s3["AWS_ENDPOINT_URL"]):
        # S3 answers questions about an object (HEAD) without a reason.
        assert_all_ways_are_refused(bucket.name, "Access Key Id you provided", "Forbidden")
    assert bucket.tree() == {"a": b"1"}
    assert bucket.uploads() == []


def test_what_a_user_may_not_do_is_told(
    bucket: Bucket, new_clients: None, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("digits/a", b"1")
    iam = boto3.client("iam")
    iam.create_user(UserName=bucket.name)
    key = iam.create_access_key(UserName=bucket.name)["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    with asking_who_it_is(s3["AWS_ENDPOINT_URL"]):
        assert_all_ways_are_refused(bucket.name, "Access Denied", "Forbidden")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        forget_clients()
        assert_all_ways_are_refused(bucket.name, "signature", "Forbidden")
    assert bucket.tree() == {"a": b"1"}


def test_who_has_no_keys_is_told(
    bucket: Bucket, new_clients: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", str(tmp_path))  # which may have some in .aws
    assert_all_ways_are_refused(bucket.name, "Unable to locate credentials")


def test_a_bucket_that_is_missing_is_told_by_whoever_needs_it(s3: dict[str, str]) -> None:
    store = open_store("s3://no-such-bucket/digits")
    reason = "The specified bucket does not exist"
    for way in (write, write_parts):
        with pytest.raises(OutputError) as caught:
            way(store)
        assert str(caught.value) == f"cannot write 's3://no-such-bucket/digits/a': {reason}"
    with pytest.raises(OutputError, match=f"cannot read 's3://no-such-bucket/digits/a': {reason}"):
        read(store)
    # There is nothing in it.
    assert store.entries() == []
    store.delete("a")


def test_a_server_that_is_not_there_is_told(
    new_clients: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{HOST}:{unused_port()}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{address}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # for these tests to be fast, and to obey
    assert_all_ways_are_refused(
        "bucket", f'Could not connect to the endpoint URL: "http://{address}/'
    )


def test_an_upload_that_the_server_has_lost_is_told_and_leaves_nothing(
    bucket: Bucket, new_clients: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    store = open_store(bucket.uri())
    bucket.put("digits/a", b"precious")

    def lose() -> None:
        with store.new_file("a") as file:
            file.write(bytes(PART))
            for upload in bucket.client.list_multipart_uploads(Bucket=bucket.name)["Uploads"]:
                bucket.client.abort_multipart_upload(
                    Bucket=bucket.name, Key=upload["Key"], UploadId=upload["UploadId"]
                )
            file.write(bytes(PART))

    with pytest.raises(OutputError, match=r"cannot write 's3://.*/digits/a': "):
        lose()
    assert bucket.tree() == {"a": b"precious"}


def test_an_object_that_is_replaced_while_it_is_read_is_never_half_of_each(bucket: Bucket) -> None:
    bucket.put("digits/a", random.Random(1).randbytes(3 * PART))

    def read_on() -> None:
        with open_store(bucket.uri()).open("a") as file:
            assert len(file.read(100)) == 100
            bucket.put("digits/a", random.Random(2).randbytes(3 * PART))
            while file.read(PART):
                pass

    with pytest.raises(OutputError, match=r"cannot read 's3://.*/digits/a': "):
        read_on()


EMPTY_LIST = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>'
CONTENT = b"0123456789"


class ShakyHandler(BaseHTTPRequestHandler):
    """Answers what it is asked, but for the first few times."""

    failures_left = 0
    answers = 0

    def do_HEAD(self) -> None:
        self.head(http.client.OK, len(CONTENT))

    def do_GET(self) -> None:
        kind = type(self)
        kind.answers += 1
        failing = kind.failures_left > 0
        kind.failures_left -= 1
        if "list-type" not in self.path:
            # The head of an answer that breaks off half-way says that all is well.
            self.head(http.client.PARTIAL_CONTENT, len(CONTENT))
            self.wfile.write(CONTENT[:5] if failing else CONTENT)
        elif failing:
            self.head(http.client.SERVICE_UNAVAILABLE, 0)
        else:
            self.head(http.client.OK, len(EMPTY_LIST))
            self.wfile.write(EMPTY_LIST)

    def head(self, code: int, size: int) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(size))
        self.send_header("ETag", '"1"')
        self.end_headers()

    def log_message(self, *what: object) -> None:
        """Tests are quiet."""


class HangingUp(BaseRequestHandler):
    """Takes calls, and says nothing."""

    calls = 0

    def handle(self) -> None:
        HangingUp.calls += 1


@contextmanager
def serving(handler: type[BaseRequestHandler]) -> Iterator[str]:
    """Run a server; its address."""
    with ThreadingTCPServer((HOST, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        yield f"http://{HOST}:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def shaky(new_clients: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[ShakyHandler]]:
    """A server whose first answers fail, as many as a test says."""

    class Handler(ShakyHandler):
        pass

    with serving(Handler) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        yield Handler


def test_a_server_that_is_busy_is_asked_again(shaky: type[ShakyHandler]) -> None:
    shaky.failures_left = 2
    assert open_store("s3://bucket/digits").entries() == []
    assert shaky.answers == 3


def test_a_server_that_stays_busy_is_told_after_a_few_times(shaky: type[ShakyHandler]) -> None:
    shaky.failures_left = 1000
    with pytest.raises(OutputError, match="cannot read 's3://bucket/digits': Service Unavailable"):
        open_store("s3://bucket/digits").entries()
    assert shaky.answers == 3


def test_an_answer_that_breaks_off_is_asked_for_again(shaky: type[ShakyHandler]) -> None:
    shaky.failures_left = 1
    with open_store("s3://bucket/digits").open("a") as file:
        assert file.read() == CONTENT
    assert shaky.answers == 2


def test_a_server_that_hangs_up_is_not_called_for_minutes(
    new_clients: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(HangingUp) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(OutputError, match="cannot read 's3://bucket/digits': "):
            open_store("s3://bucket/digits").entries()
    # Each of them may take 15 seconds where somebody listens and says nothing. (Where a connection
    # ends before there is an answer, the library below tries once more.)
    assert 2 <= HangingUp.calls <= 12
