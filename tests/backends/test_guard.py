"""A URL given by a user: hostile names, addresses in disguise, and who may be reached."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from ipaddress import ip_network

import pytest

from tests.backends.servers.raw_tcp import serve
from vaultd.backends.guard.own_addresses import PodAddresses
from vaultd.backends.guard.rules import allowed, guarded_socket, resolve
from vaultd.backends.transport.addresses import first_that_answers, in_turns
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


IN_A_NETWORK_OF_ITS_OWN = """
import sys
from ipaddress import ip_network
from vaultd.backends.guard.rules import guarded_socket, resolve
from vaultd.backends.guard.own_addresses import PodAddresses, is_on_this_machine
from vaultd.errors import PlaceRefused

for own in ("11.22.33.44", "11.22.33.50", "2a01:4f8::5"):
    assert is_on_this_machine(own), own
    for face in (own, *([f"::ffff:{own}", f"64:ff9b::{own}"] if "." in own else [])):
        try:
            resolve("pod.example", 443, resolver=lambda host, port: [face])
        except PlaceRefused as error:
            assert "the pod's own" in str(error), error
        else:
            sys.exit(f"{face} was let through")
    permitted = [ip_network(own)]
    assert resolve("x", 443, permitted=permitted, resolver=lambda host, port: [own]) == [own]
for other in ("11.22.33.45", "2a01:4f8::6", "8.8.8.8"):
    assert not is_on_this_machine(other), other
    assert resolve("x.example", 443, resolver=lambda host, port: [other]) == [other]
"""


@pytest.mark.parametrize("nonlocal_bind", ["0", "1"])
def test_the_public_addresses_of_this_machine_are_the_pods_own(nonlocal_bind: str) -> None:
    """In a network namespace, whose interface has public addresses, a second one among them."""
    commands = (
        "ip link set lo up && ip addr add 11.22.33.44/32 dev lo && ip addr add 11.22.33.50/32 dev lo"
        " && ip -6 addr add 2a01:4f8::5/128 dev lo && ip route add default dev lo"
        f" && echo {nonlocal_bind} > /proc/sys/net/ipv4/ip_nonlocal_bind"
    )
    done = subprocess.run(["unshare", "-n", "sh", "-c", commands], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no network of its own can be had here: {done.stderr.decode()[:200]}")
    run = subprocess.run(
        ["unshare", "-n", "sh", "-c", f'{commands} && exec "$@"', "sh", sys.executable, "-c",
         IN_A_NETWORK_OF_ITS_OWN],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


def test_what_the_pods_name_leads_to_is_its_own() -> None:
    """Behind a router the public address is on no interface."""
    moment, answers = 0.0, [[PUBLIC], ["1.1.1.1"]]

    def resolver(host: str, port: int) -> list[str]:
        assert host == "pod.example"
        if not answers:
            raise OSError("no DNS")
        return answers.pop(0)

    pod = PodAddresses("pod.example", resolver=resolver, clock=lambda: moment)
    with pytest.raises(PlaceRefused, match="the pod's own"):
        resolve("evil.example", 443, own=pod, resolver=Dns([PUBLIC]))
    assert resolve("x", 1, own=pod, permitted=[ip_network(PUBLIC)], resolver=Dns([PUBLIC]))
    assert resolve("x", 1, own=pod, resolver=Dns(["1.1.1.1"])) == ["1.1.1.1"]
    moment = 61.0  # its address changed
    assert pod("1.1.1.1")
    assert not pod(PUBLIC)
    moment = 122.0  # and then its name is not known for a while
    assert pod("1.1.1.1")


def test_a_dead_family_of_addresses_leaves_time_for_the_other() -> None:
    """IPv6 first, and nobody answers there."""
    assert in_turns(["::1", "::2", "::3", "::4", "::5", "1.1.1.1"])[:2] == ["::1", "1.1.1.1"]
    assert in_turns(["1.1.1.1", "1.1.1.2", "::1"]) == ["1.1.1.1", "::1", "1.1.1.2"]
    spent: list[tuple[str, float]] = []

    def connect(address: str, patience: float) -> str:
        spent.append((address, patience))
        if ":" in address:
            raise TimeoutError("timed out")
        return address

    dead = [f"::{number}" for number in range(1, 9)]
    assert first_that_answers([*dead, "1.1.1.1"], 10.0, connect, OSError) == "1.1.1.1"
    assert [address for address, _ in spent] == ["::1", "1.1.1.1"]
    assert spent[0][1] <= 10 / 4
    assert first_that_answers(["1.1.1.1"], 10.0, connect, OSError) == "1.1.1.1"
    assert spent[-1][1] > 9
    with pytest.raises(TimeoutError):
        first_that_answers(dead, 10.0, connect, OSError)
