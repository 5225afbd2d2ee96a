"""Headers in the forms of the large mailbox providers, and broken ones. Names and tokens are made up."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import arrivals, received_headers
from domain.arrivals import Arrival
from domain.preflight import Light
from domain.received_headers import Received, Result

SIGNED = (
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=shop.example.com;\r\n\th=content-type:from:mime-version:"
    "subject:list-unsubscribe:\r\n\tlist-unsubscribe-post:to:cc; s=s1; bh=abc=;\r\n\tb=def=\r\n"
)
ESP_SIGNED = "DKIM-Signature: v=1; a=rsa-sha256; d=sendgrid.info; h=from:subject:to; s=smtpapi; bh=a; b=b\r\n"
ESP_TRACE = (
    "Received: by recvd-7cf54cf67b-x with SMTP id recvd-7cf54cf67b-x-1-6601 2026-11-23 09:00:01 UTC\r\n"
    "Received: from MTEwMDAwMDA (unknown) by geopod-ismtpd-12 (SG) with HTTP id abc; Mon, 23 Nov 2026 09:00:00 +0000\r\n"
)
REST = (
    "From: =?utf-8?q?The_Sh=C3=B6p?= <news@shop.example.com>\r\nTo: qa@mailbox.example\r\nSubject: Spring\r\n"
    "List-Unsubscribe: <https://shop.example.com/unsubscribe/\r\n\tabc.def>\r\n"
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nbody\r\nAuthentication-Results: x; dkim=fail\r\n"
)
SENT = f"{SIGNED}{ESP_SIGNED}{ESP_TRACE}{REST}"
GMAIL = (
    "Delivered-To: qa@gmail.com\r\nReceived: by 2002:a05:6a10:8c8a:b0:4d3:1a2b with SMTP id x10csp1; Mon, 23 Nov 2026 "
    "01:00:04 -0800 (PST)\r\nX-Received: by 2002:a05:620a:1 with SMTP id y1; Mon, 23 Nov 2026 01:00:03 -0800\r\n"
    "ARC-Authentication-Results: i=1; mx.google.com;\r\n       dkim=fail header.i=@arc.example\r\n"
    "Return-Path: <bounces+1-qa=gmail.com@em.shop.example.com>\r\n"
    "Received: from o1.em.shop.example.com (o1.em.shop.example.com. [149.72.120.7])\r\n        by mx.google.com with "
    "ESMTPS id d75a7-1\r\n        for <qa@gmail.com>\r\n        (version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256 "
    "bits=128/128);\r\n        Mon, 23 Nov 2026 01:00:03 -0800 (PST)\r\n"
    "Received-SPF: pass (google.com: domain of bounces+1-qa=gmail.com@em.shop.example.com designates 149.72.120.7 as "
    "permitted sender) client-ip=149.72.120.7;\r\n"
    "Authentication-Results: mx.google.com;\r\n       dkim=pass header.i=@shop.example.com header.s=s1 header.b=fQbO;\r\n"
    '       dkim=pass header.i=@sendgrid.info header.s=smtpapi header.b="a/b;c";\r\n       spf=pass (google.com: domain of '
    "bounces+1-qa=gmail.com@em.shop.example.com designates 149.72.120.7 as permitted sender) "
    'smtp.mailfrom="bounces+1-qa=gmail.com@em.shop.example.com";\r\n       dmarc=pass (p=REJECT sp=REJECT dis=NONE) '
    "header.from=shop.example.com\r\n"
)
OUTLOOK = (
    "Received: from SA1PR19MB0001.namprd19.prod.outlook.com (2603:10b6:806:1::1)\r\n by BY5PR19MB0002.namprd19.prod."
    "outlook.com with HTTPS; Mon, 23 Nov 2026 09:00:05 +0000\r\n"
    "Received: from BN8NAM12FT055.eop-nam12.prod.protection.outlook.com\r\n (2603:10b6:408:e0:cafe::b7) by "
    "BN1PR10CA0002.outlook.office365.com\r\n (2603:10b6:408:e0::7) with Microsoft SMTP Server (version=TLS1_3,\r\n "
    "cipher=TLS_AES_256_GCM_SHA384) id 15.20.8534.21 via Frontend Transport; Mon, 23 Nov 2026 09:00:04 +0000\r\n"
    "Authentication-Results: spf=pass (sender IP is 149.72.120.7)\r\n smtp.mailfrom=em.shop.example.com; dkim=pass "
    "(signature was verified)\r\n header.d=shop.example.com;dmarc=pass action=none\r\n header.from=shop.example.com;"
    "compauth=pass reason=100\r\nReceived-SPF: Pass (protection.outlook.com: domain of em.shop.example.com designates\r\n "
    "149.72.120.7 as permitted sender) receiver=protection.outlook.com; client-ip=149.72.120.7;\r\n"
    "Received: from o1.em.shop.example.com (149.72.120.7) by\r\n BN8NAM12FT055.mail.protection.outlook.com "
    "(10.13.183.17) with Microsoft SMTP\r\n Server (version=TLS1_2, cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id\r\n "
    "15.20.8534.20 via Frontend Transport; Mon, 23 Nov 2026 09:00:03 +0000\r\nX-IncomingTopHeaderMarker: Original\r\n"
)
HOTMAIL = OUTLOOK.replace(
    "smtp.mailfrom=em.shop.example.com; dkim", "smtp.mailfrom=em.shop.example.com; hotmail.com; dkim"
).replace("header.d=shop.example.com;dmarc", "header.d=shop.example.com;hotmail.com; dmarc")
YAHOO = (
    "Received: from 127.0.0.1\r\n by atlas-production.v2-mail-prod1-gq1.omega.yahoo.com pod-id NONE with HTTP; Mon, 23 Nov "
    "2026 09:00:05 +0000\r\nReturn-Path: <bounces@em.shop.example.com>\r\nX-Originating-Ip: [149.72.120.7]\r\n"
    "Received-SPF: pass (domain of em.shop.example.com designates 149.72.120.7 as permitted sender)\r\n"
    "Authentication-Results: atlas-production.v2-mail-prod1-gq1.omega.yahoo.com;\r\n dkim=pass "
    "header.i=@shop.example.com header.s=s1;\r\n dkim=pass header.i=@sendgrid.info header.s=smtpapi;\r\n spf=pass "
    "smtp.mailfrom=em.shop.example.com;\r\n dmarc=pass(p=REJECT,sp=REJECT) header.from=shop.example.com;\r\n"
    "X-Apparently-To: qa@yahoo.com; Mon, 23 Nov 2026 09:00:05 +0000\r\n"
    "Received: from 149.72.120.7 (EHLO o1.em.shop.example.com)\r\n by 10.253.228.69 with SMTPs\r\n (version=TLS1_3 "
    "cipher=TLS_AES_128_GCM_SHA256);\r\n Mon, 23 Nov 2026 09:00:04 +0000\r\n"
)
GMX = (
    "Return-Path: <bounces@em.shop.example.com>\r\nAuthentication-Results:  gmx.net; dkim=pass header.i=@shop.example.com"
    "\r\nReceived: from o1.em.shop.example.com ([149.72.120.7]) by mx-ha.gmx.net\r\n (mxgmx103 [212.227.17.5]) with ESMTPS "
    "(Nemesis) id 1MeCZ5-1nWyOC0iSF-00bMu8\r\n for <qa@gmx.de>; Mon, 23 Nov 2026 10:00:05 +0100\r\n"
)
ICLOUD = (
    "Received: from p00-icloudmta-asmtp-us-central-1k-60-percent-0 by p122-mailgateway-smtp-67d9 (mailgateway 2626B18)\r\n"
    "\twith SMTP id 1d9fa2e4-1\r\n\tfor <qa@icloud.com>; Mon, 23 Nov 2026 09:00:06 GMT\r\n"
    "Received: from o1.em.shop.example.com (o1.em.shop.example.com [149.72.120.7])\r\n\tby p00-icloudmta-smtpin-1.me.com "
    "(Postfix) with ESMTPS id 11C766C0012C\r\n\tfor <qa@icloud.com>; Mon, 23 Nov 2026 09:00:05 +0000 (UTC)\r\n"
    'X-ICL-SCORE: 3.33\r\nAuthentication-Results: bimi.icloud.com; bimi=skipped reason="insufficient dmarc"\r\n'
    "Authentication-Results: arc.icloud.com; arc=none\r\n"
    "Authentication-Results: dmarc.icloud.com; dmarc=pass header.from=shop.example.com\r\nX-DMARC-Policy: none\r\n"
    "Authentication-Results: dkim-verifier.icloud.com;\r\n\tdkim=pass (1024-bit key) header.d=shop.example.com "
    "header.i=@shop.example.com header.b=I77INjus\r\nAuthentication-Results: spf.icloud.com; spf=pass (spf.icloud.com: "
    "domain of b@em.shop.example.com designates 149.72.120.7 as permitted sender) smtp.mailfrom=b@em.shop.example.com\r\n"
    "Received-SPF: pass (spf.icloud.com) receiver=spf.icloud.com; client-ip=149.72.120.7\r\n"
)
FASTMAIL = (
    "Received: from phl-compute-01.internal (phl-compute-01.phl.internal [10.202.2.41])\r\n\t by sloti1.internal (Cyrus) "
    "with LMTPA;\r\n\t Mon, 23 Nov 2026 04:00:06 -0500\r\nReceived: from phl-mx-01.internal ([10.202.2.200])\r\n  by "
    "phl-compute-01.internal (MEProxy); Mon, 23 Nov 2026 04:00:05 -0500\r\n"
    "Authentication-Results: mx1.messagingengine.com;\r\n    x-csa=none;\r\n    x-ptr=pass smtp.helo=o1.em.shop.example.com "
    "policy.ptr=o1.em.shop.example.com;\r\n    bimi=declined;\r\n    arc=none (no signatures found);\r\n    dkim=pass "
    "(2048-bit rsa key sha256) header.d=shop.example.com header.i=@shop.example.com header.b=abc header.a=rsa-sha256 "
    "header.s=s1;\r\n    dmarc=pass policy.published-domain-policy=reject policy.policy-from=p "
    "header.from=shop.example.com;\r\n    spf=pass smtp.mailfrom=bounces@em.shop.example.com smtp.helo=o1.x\r\n"
    "Received: from o1.em.shop.example.com (o1.em.shop.example.com [149.72.120.7])\r\n\t(using TLSv1.3 with cipher "
    "TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\t key-exchange X25519)\r\n\t(No client certificate requested)\r\n\tby "
    "mx1.messagingengine.com (Postfix) with ESMTPS id B4E2A\r\n\tfor <qa@fastmail.com>; Mon, 23 Nov 2026 04:00:05\r\n"
)
EXIM = (
    "Return-path: <bounces@em.shop.example.com>\r\nReceived: from [149.72.120.7] (helo=o1.em.shop.example.com)\r\n\tby "
    "mail.host.example with esmtps  (TLS1.3) tls TLS_AES_256_GCM_SHA384\r\n\t(Exim 4.98)\r\n\tid 1abc-2; Mon, 23 Nov 2026 "
    "09:00:05 +0000\r\nAuthentication-Results: mail.host.example;\r\n\tiprev=pass (o1.em.shop.example.com) "
    "smtp.remote-ip=149.72.120.7;\r\n\tspf=pass smtp.mailfrom=em.shop.example.com;\r\n\tdkim=pass header.d=shop.example.com "
    "header.s=s1 header.a=rsa-sha256;\r\n\tdmarc=pass header.from=shop.example.com\r\n"
)
PROTON = (
    "X-Pm-Origin: external\r\nAuthentication-Results: mail.protonmail.ch; dmarc=pass (p=reject dis=none) "
    "header.from=shop.example.com\r\nAuthentication-Results: mail.protonmail.ch; spf=pass "
    "smtp.mailfrom=em.shop.example.com\r\nAuthentication-Results: mail.protonmail.ch; dkim=pass (2048-bit key) "
    'header.d=shop.example.com header.i=@shop.example.com header.b="abc"\r\n'
    "Received: from o1.em.shop.example.com (o1.em.shop.example.com [149.72.120.7]) (using TLSv1.3 with cipher "
    "TLS_AES_256_GCM_SHA384 (256/256 bits)) by mailinc.protonmail.ch (Postfix) with ESMTPS id 4X for <qa@proton.me>; "
    "Mon, 23 Nov 2026 09:00:05 +0000 (UTC)\r\n"
)
MAILRU = (
    "Received: by exim-smtp-1 (envelope-from <bounces@em.shop.example.com>)\r\n\tid 1; Mon, 23 Nov 2026 12:00:06 +0300\r\n"
    "Received: from o1.em.shop.example.com ([149.72.120.7]:41142)\r\n\tby mxs.mail.ru with esmtps (TLS1.3) tls "
    "TLS_AES_256_GCM_SHA384\r\n\t(envelope-from <bounces@em.shop.example.com>); Mon, 23 Nov 2026 12:00:05 +0300\r\n"
    "Authentication-Results: mxs.mail.ru; spf=pass (mx286: domain of em.shop.example.com designates 149.72.120.7 as "
    "permitted sender) smtp.mailfrom=bounces@em.shop.example.com smtp.helo=o1.em.shop.example.com;\r\n\t dkim=pass "
    "header.d=shop.example.com;\r\n\t dmarc=pass header.from=news@shop.example.com\r\n"
)
IPV6 = EXIM.replace("[149.72.120.7]", "[IPv6:2a01:111:f403:c110::1]")
SAMPLES = {
    "gmail": GMAIL,
    "outlook": OUTLOOK,
    "hotmail": HOTMAIL,
    "yahoo": YAHOO,
    "icloud": ICLOUD,
    "fastmail": FASTMAIL,
    "exim": EXIM,
    "proton": PROTON,
    "mail.ru": MAILRU,
    "ipv6": IPV6,
}


def _read(head: str, rest: str = SENT) -> Received:
    return received_headers.read(f"{head}{rest}".encode())


@pytest.mark.parametrize("name", SAMPLES)
def test_a_good_mail_is_read_the_same_at_each_provider(name: str) -> None:
    received = _read(SAMPLES[name])
    first = {method: received.of(method)[0] for method in ("spf", "dkim", "dmarc")}
    assert {method: one.result for method, one in first.items()} == {"spf": "pass", "dkim": "pass", "dmarc": "pass"}
    assert first["dkim"].domain == first["dmarc"].domain == received.from_domain == "shop.example.com"
    assert first["spf"].domain == "em.shop.example.com"
    assert (received.one_click, received.one_click_signed, received.encrypted) == (True, True, True)
    lines = arrivals.lines(Arrival(received, timedelta(seconds=4), "INBOX"), "esp")
    assert {line.light for line in lines} == {Light.GREEN}
    assert len(lines) == 7
    assert "@" not in str(lines)


def test_gmx_tells_of_dkim_alone() -> None:
    received = _read(GMX)
    assert received.results == (Result("dkim", "pass", "shop.example.com"),)
    assert (received.received_by, received.encrypted) == ("mx-ha.gmx.net", True)
    lights = {
        line.found.split(":")[0]: line.light for line in arrivals.lines(Arrival(received, timedelta(), "INBOX"), "esp")
    }
    assert (lights["SPF"], lights["DKIM"], lights["DMARC"]) == (Light.GREY, Light.GREEN, Light.GREY)


@pytest.mark.parametrize(
    ("name", "by", "version"),
    [
        ("gmail", "mx.google.com", "1.3"),
        ("outlook", "bn8nam12ft055.mail.protection.outlook.com", "1.2"),
        ("yahoo", "10.253.228.69", "1.3"),
        ("icloud", "p00-icloudmta-smtpin-1.me.com", ""),
        ("fastmail", "mx1.messagingengine.com", "1.3"),
        ("exim", "mail.host.example", "1.3"),
    ],
)
def test_where_it_came_in_and_how(name: str, by: str, version: str) -> None:
    received = _read(SAMPLES[name])
    assert (received.received_by, received.tls_version) == (by, version)


def test_what_the_sender_or_its_relay_wrote_itself_is_not_believed() -> None:
    forged = "Authentication-Results: mx.google.com; dkim=pass header.d=shop.example.com; dmarc=pass header.from=shop.example.com\r\n"
    bad = GMAIL.replace("dkim=pass header.i=@shop.example.com", "dkim=fail header.i=@shop.example.com").replace(
        "dmarc=pass", "dmarc=fail"
    )
    received = _read(bad, f"{SIGNED}{forged}{ESP_TRACE}{forged}{REST}")
    assert received.of("dmarc") == [Result("dmarc", "fail", "shop.example.com")]
    assert received.of("dkim")[0].result == "fail"


@pytest.mark.parametrize(
    ("old", "new", "area", "light", "words"),
    [
        ("spf=pass", "spf=softfail", "headers", Light.RED, "SPF: mx.google.com says softfail"),
        ("spf=pass", "spf=temperror", "headers", Light.GREY, "temperror"),
        ("spf=pass", "spf=none", "headers", Light.RED, "none"),
        ("dmarc=pass", "dmarc=fail", "headers", Light.RED, "DMARC: mx.google.com says fail"),
        ("dmarc=pass", "dmarc=bestguesspass", "headers", Light.YELLOW, "bestguesspass"),
        ("dkim=pass header.i=@shop.example.com", "dkim=permerror header.i=@shop.example.com", "headers", Light.RED, "permerror"),
        ("dkim=pass header.i=@shop.example.com", "x=pass header.i=@shop.example.com", "headers", Light.YELLOW, "not the From's"),
        ("with ESMTPS id", "with ESMTP id", "headers", Light.RED, "without TLS"),
        ("list-unsubscribe-post:", "", "one-click", Light.RED, "no DKIM signature of the sender's domain covers both"),
        ("List-Unsubscribe=One-Click", "yes", "one-click", Light.RED, "did not arrive"),
        ("<https://shop", "<mailto:shop", "one-click", Light.RED, "did not arrive"),
        ("d=shop.example.com;\r\n\th=", "d=other.example;\r\n\th=", "one-click", Light.RED, "covers both"),
    ],
)  # fmt: skip
def test_one_fault_is_one_line(old: str, new: str, area: str, light: Light, words: str) -> None:
    raw = f"{GMAIL}{SENT}".replace(old, new)
    if "ESMTP " in new:
        raw = raw.replace("version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256", "no encryption")
    assert raw != f"{GMAIL}{SENT}"
    received = received_headers.read(raw.encode())
    found = [line for line in arrivals.lines(Arrival(received, timedelta(), "INBOX"), "esp") if words in line.found]
    assert [(line.area, line.light) for line in found] == [(area, light)]
    assert found[0].publish or light is Light.GREY or "TLS" in words


def test_a_signature_that_did_not_pass_covers_nothing() -> None:
    two = SIGNED.replace("list-unsubscribe-post", "x").replace("s=s1", "s=s2")
    received = _read(GMAIL.replace("header.s=s1", "header.s=s2"), f"{two}{SENT}")
    assert received.of("dkim")[0].selector == "s2"
    assert not received.one_click_signed


def test_late_and_taken_for_spam() -> None:
    lines = arrivals.lines(Arrival(_read(GMAIL), timedelta(minutes=9), "[Gmail]/Spam"), "esp")
    assert [line.light for line in lines if line.light is not Light.GREEN] == [Light.YELLOW, Light.YELLOW]
    assert "within 540 s" in lines[-2].found
    one = arrivals.lines(Arrival(_read(GMAIL), timedelta(seconds=-2), "INBOX"), "esp", marketing=False)
    assert "within 0 s" in one[-2].found  # their clock is behind ours
    assert not any(line.area == "one-click" for line in one)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"garbage without a colon\r\n\r\nbody",
        b"Authentication-Results: \r\nFrom: x\r\n\r\n",
        b"Authentication-Results: ;;; ===(((\r\nReceived: from by\r\nDKIM-Signature: ;;=\r\nFrom: <@>\r\n\r\n",
        b"Authentication-Results: x; dkim=pass (never closed header.d=shop.example.com; spf=pass\r\n\r\n",
        b'Authentication-Results: x; dkim=pass header.d="half\r\nReceived: from a (999.1.1.1) by b\r\n\r\n',
        b"Received: from \xff\xfe\x00 (149.72.120.7) by \xc3\xa4 with ESMTPS\r\nFrom: \xff\r\n\r\n",
        b"DKIM-Signature: v=1; d=; h=\r\nDKIM-Signature: d=x.example\r\nList-Unsubscribe-Post:\r\n\r\n",
        b"Received: " + b"from a (149.72.120.7) by b " * 5000 + b"\r\n\r\n",
        b"Authentication-Results: x; " + b"dkim=pass (" * 3000 + b"\r\n\r\n",
    ],
)  # fmt: skip
def test_a_broken_header_tells_nothing_and_breaks_nothing(raw: bytes) -> None:
    received = received_headers.read(raw)
    assert not received.one_click
    assert not any(one.result == "pass" and one.domain for one in received.results)
    lines = arrivals.lines(Arrival(received, timedelta(), "INBOX"), "esp")
    assert {line.light for line in lines if line.found.startswith(("SPF", "DKIM", "DMARC"))} == {Light.GREY}


@given(
    st.binary(max_size=400), st.sampled_from([b"Authentication-Results: x; ", b"Received: ", b"DKIM-Signature: ", b""])
)
def test_no_bytes_make_it_fail(raw: bytes, name: bytes) -> None:
    received_headers.read(name + raw)
