"""A URL given by a user: hostile names, addresses in disguise, and who may be reached."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from ipaddress import ip_network

import pytest

from tests.backends.servers.raw_tcp import serve
from vaultd.backends.guard import allowed, guarded_socket, resolve
from vaultd.errors import PlaceBusy, PlaceRefused

PUBLIC = "93.184.216.34"
OUR_TEST_SERVERS = [ip_network("127.0.0.2/32")]

REFUSED = """
127.0.0.1 127.0.0.53 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 172.16.0.1
172.31.255.255 192.168.0.1 192.168.255.255 169.254.0.1 169.254.169.254 100.64.0.1 100.127.255.255
100.100.100.200 168.63.129.16 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255
198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::2 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1
::127.0.0.1 ::10.0.0.1 64:ff9b::127.0.0.1 64:ff9b::a00:1 64:ff9b::169.254.169.254 64:ff9b:1::8.8.8.8
2002:7f00:1:: 2002:a00:1::1 2002:a9fe:a9fe:: 2002:c0a8:101::1
2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:0:7f00:1::1 2001::1 2001:10::1 2001:db8::1 3fff::1
fc00::1 fd00:ec2::254 fd20:ce::254 fdff::1 fe80::1 fe80::1%eth0 fe80::1%1 fec0::1 ff02::1 ff05::1
100::1 5f00::1 4000::1 2606:4700::1111%eth0
localhost example.org 127.1 0x7f.0.0.1 0x7f000001 2130706433 0177.0.0.1 127.0.0.01 127.0.0.1/8 1.2.3
8.8.8.8%eth0 [::1] 8.8.8.8:80 ½.0.0.1 １.1.1.1
""".split()
FINE = """
8.8.8.8 1.1.1.1 93.184.216.34 172.15.255.255 172.32.0.1 100.63.255.255 100.128.0.1 192.167.1.1
192.169.1.1 169.253.1.1 169.255.1.1 198.17.1.1 198.20.0.1 223.255.255.255 11.0.0.1 126.1.1.1
2606:4700:4700::1111 2a01:4f8::1 2001:4860:4860::8888 2003::1 2620:fe::fe
::ffff:8.8.8.8 64:ff9b::8.8.8.8 2002:808:808::1
""".split()


def answers(*addresses: str) -> list[str]:
    return list(addresses)


class Dns:
    """Answers each question with the next of its answers, the last one for ever."""

    def __init__(self, *sequence: Sequence[str]) -> None:
        self.sequence, self.asked = list(sequence), 0

    def __call__(self, host: str, port: int) -> Sequence[str]:
        answer = self.sequence[min(self.asked, len(self.sequence) - 1)]
        self.asked += 1
        return answer


@pytest.mark.parametrize("address", [*REFUSED, "", " ", "\0", "8.8.8.8 ", " 8.8.8.8", "8.8.8.8\n"])
def test_what_is_not_the_public_internet_is_refused(address: str) -> None:
    assert not allowed(address)


@pytest.mark.parametrize("address", FINE)
def test_the_public_internet_is_allowed(address: str) -> None:
    assert allowed(address)


def test_every_private_address_stays_refused_in_each_disguise() -> None:
    for text in REFUSED:
        try:
            packed = int.from_bytes(socket.inet_pton(socket.AF_INET, text))
        except OSError:
            continue
        high, low = divmod(packed, 65536)
        flipped = f"{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}"
        for disguise in (
            f"::ffff:{high:x}:{low:x}",
            f"64:ff9b::{high:x}:{low:x}",
            f"2002:{high:x}:{low:x}::1",
            f"2001:0:{high:x}:{low:x}::1",
            f"2001:0:808:808:8000:0:{flipped}",
            f"::{high:x}:{low:x}",
        ):
            assert not allowed(disguise), disguise


def test_one_bad_address_among_good_ones_refuses_the_name_and_is_named() -> None:
    for bad in ("127.0.0.1", "fd00:ec2::254", "169.254.169.254"):
        with pytest.raises(PlaceRefused, match=f"evil.example has the address {bad}"):
            resolve("evil.example", 443, resolver=Dns([PUBLIC, bad]))
    assert resolve("good.example", 443, resolver=Dns([PUBLIC, "2a01:4f8::1"])) == [
        PUBLIC,
        "2a01:4f8::1",
    ]


@pytest.mark.parametrize(
    "spelling",
    ["127.0.0.1", "2130706433", "0x7f.1", "0x7f000001", "017700000001", "127.1", "0", "0.0.0.0",
     "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "localhost", "fe80::1%lo", "::", "127.0.0.2"],
)  # fmt: skip
def test_the_system_finds_this_machine_behind_every_spelling_and_it_is_refused(
    spelling: str,
) -> None:
    with pytest.raises((PlaceRefused, PlaceBusy)):
        resolve(spelling, 80)
    with pytest.raises((PlaceRefused, PlaceBusy)):
        guarded_socket(spelling, 80, 5)


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f.1", "127.1", "::1", "localhost"])
def test_spellings_that_the_system_knows_are_refused_by_their_address(spelling: str) -> None:
    with pytest.raises(PlaceRefused, match=r"(127\.0\.0\.1|::1), which is not one of the public"):
        resolve(spelling, 80)


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a\0b.example", "", ".", "..", "a..b"])
def test_an_impossible_name_is_a_sentence(name: str) -> None:
    with pytest.raises((PlaceBusy, PlaceRefused)) as raised:
        resolve(name, 80)
    assert "\0" not in str(raised.value)


def test_a_name_without_an_address_and_a_silent_dns_server_are_sentences() -> None:
    def silent(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with pytest.raises(PlaceBusy, match=r"x\.example is not known \(Temporary failure") as raised:
        resolve("x.example", 80, resolver=silent)
    assert raised.value.unknown is False
    with pytest.raises(PlaceBusy, match="has no address"):
        resolve("x.example", 80, resolver=Dns([]))


def test_the_podmin_may_permit_a_network() -> None:
    dns = Dns(["10.1.2.3"])
    with pytest.raises(PlaceRefused):
        resolve("nas.example", 80, resolver=dns)
    assert resolve("nas.example", 80, permitted=[ip_network("10.1.0.0/16")], resolver=dns)
    with pytest.raises(PlaceRefused):
        resolve("nas.example", 80, permitted=[ip_network("10.2.0.0/16")], resolver=dns)
    with pytest.raises(PlaceRefused):
        resolve("nas.example", 80, permitted=[ip_network("::/0")], resolver=dns)


def test_a_socket_goes_to_the_checked_address_and_asks_the_dns_once() -> None:
    dns = Dns(["127.0.0.2"], ["127.0.0.1"])
    with serve(lambda connection: connection.sendall(b"hello"), "127.0.0.2") as port:
        with guarded_socket(
            "rebinding.example", port, 5, permitted=OUR_TEST_SERVERS, resolver=dns
        ) as connection:
            assert connection.getpeername() == ("127.0.0.2", port)
            assert connection.recv(5) == b"hello"
            assert connection.gettimeout() == 5
        assert dns.asked == 1
        with pytest.raises(PlaceRefused, match=r"127\.0\.0\.1"):
            guarded_socket("rebinding.example", port, 5, permitted=OUR_TEST_SERVERS, resolver=dns)


def test_a_socket_tries_the_next_address() -> None:
    networks = [ip_network("127.0.0.2/31")]
    with (
        serve(lambda connection: connection.sendall(b"x"), "127.0.0.2") as port,
        guarded_socket(
            "two.example", port, 5, permitted=networks, resolver=Dns(["127.0.0.3", "127.0.0.2"])
        ) as connection,
    ):
        assert connection.getpeername()[0] == "127.0.0.2"


def test_a_refused_connection_is_the_error_of_a_socket() -> None:
    with serve(lambda connection: None, "127.0.0.2") as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        guarded_socket(
            "x.example", port, 5, permitted=OUR_TEST_SERVERS, resolver=Dns(["127.0.0.2"])
        )


def test_a_thousand_addresses_where_nobody_answers_cost_one_timeout() -> None:
    listener = socket.create_server(("127.0.0.2", 0), backlog=0)
    port = listener.getsockname()[1]
    waiting = []
    try:
        for _ in range(4):  # fill its queue, so that it is silent from now on
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.2", port))
            waiting.append(one)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            guarded_socket(
                "x.example",
                port,
                0.5,
                permitted=OUR_TEST_SERVERS,
                resolver=Dns(["127.0.0.2"] * 1000),
            )
        assert time.monotonic() - began < 2
    finally:
        listener.close()
        for one in waiting:
            one.close()
