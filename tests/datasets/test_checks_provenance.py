from __future__ import annotations

import datetime
import io
import json
import socket
import struct
import sys
import zlib
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from pareja.datasets.formats import load_dataset
from pareja.datasets.provenance import SOURCE_TYPES, signs_of_generation

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
KINDS = ("JPEG", "PNG", "WEBP")
A1111 = "a red cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5"


def encode(kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((64, 48), 60).convert("RGB").save(file, kind, **options)
    return file.getvalue()


def xmp(body: str) -> bytes:
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'{body}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def png_text(key: str, value: str, *, compressed: bool = False, unicode: bool = False) -> bytes:
    text = PngImagePlugin.PngInfo()
    if unicode:
        text.add_itxt(key, value, zip=compressed)
    else:
        text.add_text(key, value, zip=compressed)
    return encode(pnginfo=text)


def exif(tag: int, value: str | bytes, kind: str = "JPEG") -> bytes:
    block = Image.Exif()
    if tag == 0x9286:
        # Pillow writes no block into a PNG where the first directory is empty.
        block[0x010F] = "Camera"
        block.get_ifd(0x8769)[tag] = value
    else:
        block[tag] = value
    return encode(kind, exif=block)


def with_xmp(kind: str, packet: bytes) -> bytes:
    if kind == "PNG":
        return png_text("XML:com.adobe.xmp", packet.decode(), unicode=True)
    return encode(kind, xmp=packet)


def evidence(encoded: bytes) -> str:
    (sign,) = signs_of_generation(encoded)
    assert sign.kind == "generated"
    return sign.evidence


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "body",
    [
        f'Iptc4xmpExt:DigitalSourceType="{IPTC}trainedAlgorithmicMedia">',
        f"><Iptc4xmpExt:DigitalSourceType>{IPTC}trainedAlgorithmicMedia"
        "</Iptc4xmpExt:DigitalSourceType>",
        f'><Iptc4xmpExt:DigitalSourceType rdf:resource="{IPTC}trainedAlgorithmicMedia"/>',
        'Iptc4xmpExt:DigitalSourceType="trainedAlgorithmicMedia">',
    ],
)
def test_the_iptc_source_type_is_read_from_xmp(kind: str, body: str) -> None:
    assert "(trainedAlgorithmicMedia)" in evidence(with_xmp(kind, xmp(body)))


@pytest.mark.parametrize("name", SOURCE_TYPES)
def test_every_source_type_of_pictures_nobody_took(name: str) -> None:
    found = evidence(encode("JPEG", xmp=xmp(f'Iptc4xmpExt:DigitalSourceType="{IPTC}{name}">')))
    assert found == f"{SOURCE_TYPES[name]}, says its XMP metadata ({name})"


@pytest.mark.parametrize(
    "body",
    [
        f'Iptc4xmpExt:DigitalSourceType="{IPTC}digitalCapture">',
        f'Iptc4xmpExt:DigitalSourceType="{IPTC}negativeFilm">',
        'dc:description="about trainedAlgorithmicMedia">',
        'xmp:CreatorTool="Adobe Photoshop 25.0">',
        'dc:description="A firefly near the Imagen bar, Midjourney street">',
    ],
)
def test_xmp_of_photographs_is_no_sign(body: str) -> None:
    assert signs_of_generation(encode("JPEG", xmp=xmp(body))) == ()


@pytest.mark.parametrize(
    "body",
    [
        'xmp:CreatorTool="Adobe Firefly">',
        "><xmp:CreatorTool>Midjourney v6</xmp:CreatorTool>",
        "photoshop:Credit='Made with Google AI'>",
        'xmp:CreatorTool="DALL&#183;E 3">',
    ],
)
def test_generators_named_in_xmp(body: str) -> None:
    assert "its XMP metadata names" in evidence(encode("WEBP", xmp=xmp(body)))


def test_a_compressed_xmp_packet_of_a_png() -> None:
    packet = xmp(f'Iptc4xmpExt:DigitalSourceType="{IPTC}compositeSynthetic">').decode()
    encoded = png_text("XML:com.adobe.xmp", packet, compressed=True, unicode=True)
    assert b"compositeSynthetic" not in encoded
    assert "contains synthetic parts" in evidence(encoded)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("unicode", [False, True])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("parameters", A1111),
        ("prompt", '{"3": {"class_type": "KSampler", "inputs": {"seed": 1}}}'),
        ("workflow", '{"last_node_id": 9, "nodes": []}'),
        ("Software", "NovelAI"),
        ("Software", "Midjourney"),
        ("Title", "Image made by DALL-E"),
        ("invokeai_metadata", "{}"),
        ("Description", "a cat --v 6.0 Job ID: 01234567-89ab-cdef-0123-456789abcdef"),
    ],
)
def test_tags_of_generators_in_png(key: str, value: str, compressed: bool, unicode: bool) -> None:
    found = evidence(png_text(key, value, compressed=compressed, unicode=unicode))
    assert found.startswith(f"its PNG field {key!r} holds ")
    assert len(found) < 120


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("parameters", "1/60 s, f/8"),
        ("Software", "GIMP 2.10"),
        ("Description", "Midjourney is written on the wall; steps: 20 of them"),
        ("prompt", "What do you see?"),
        ("Comment", "Stable Diffusion was not used"),
    ],
)
def test_png_text_of_people_is_no_sign(key: str, value: str) -> None:
    assert signs_of_generation(png_text(key, value)) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_generators_named_in_exif(kind: str) -> None:
    assert "'Software' holds 'Stable Diffusion XL'" in evidence(
        exif(0x0131, "Stable Diffusion XL", kind)
    )
    assert signs_of_generation(exif(0x0131, "darktable 4.6", kind)) == ()
    assert signs_of_generation(exif(0x010E, "A poster of Midjourney", kind)) == ()


@pytest.mark.parametrize(
    "comment",
    [
        b"ASCII\0\0\0" + A1111.encode(),
        b"UNICODE\0" + A1111.encode("utf-16-be"),
        b"UNICODE\0" + A1111.encode("utf-16-le"),
        bytes(8) + A1111.encode(),
        A1111.encode(),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_settings_in_an_exif_comment(comment: bytes, kind: str) -> None:
    assert "its EXIF field 'UserComment' holds 'a red cat" in evidence(exif(0x9286, comment, kind))


def tiff(order: str, entries: list[tuple[int, int, int, int]], tail: bytes = b"") -> bytes:
    mark = b"II" if order == "<" else b"MM"
    block = mark + struct.pack(f"{order}HIH", 42, 8, len(entries))
    return block + b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries) + tail


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_of_either_byte_order(order: str) -> None:
    block = tiff(order, [(0x0131, 2, 10, 22)], b"Midjourney")
    assert "Midjourney" in evidence(b"\xff\xd8\xff\xe1..Exif\0\0" + block)


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II*\0",
        b"MM\0*\0\0",
        tiff("<", [(0x8769, 4, 1, 8), (0x0131, 2, 99, 2**32 - 1)]),
        tiff("<", [(0x0131, 2, 10, 22)])[:20],
        tiff(">", [(0x8769, 4, 1, 5000)]),
    ],
)
def test_damaged_exif_says_nothing(block: bytes) -> None:
    assert signs_of_generation(b"Exif\0\0" + block) == ()


@given(st.binary(max_size=300), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"Exif\0\0II*\0"]))
def test_any_bytes_are_looked_through_without_an_error(noise: bytes, start: bytes) -> None:
    # Noise may hold the mark of a manifest, which then cannot be read; it says no more than that.
    assert {sign.kind for sign in signs_of_generation(start + noise)} <= {"unread"}


def test_compressed_text_that_is_damaged_or_huge() -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + bytes(4)

    bomb = zlib.compress(bytes(50 * 2**20) + A1111.encode(), 9)
    start = b"\x89PNG\r\n\x1a\n"
    assert signs_of_generation(start + chunk(b"zTXt", b"parameters\0\0not zlib")) == ()
    assert signs_of_generation(start + chunk(b"zTXt", b"parameters\0\0" + bomb)) == ()
    many = chunk(b"zTXt", b"key\0\0" + bomb) * 20 + chunk(b"tEXt", b"Software\0NovelAI")
    assert signs_of_generation(start + many) == ()


def test_unclosed_packets_take_no_time() -> None:
    assert signs_of_generation(b"<x:xmpmeta " * 300_000) == ()


def test_the_bundled_pictures_show_no_signs() -> None:
    for record in load_dataset("pareja20"):
        assert signs_of_generation(record.source.read()) == (), record.file_name


@pytest.fixture(scope="module")
def credentials() -> tuple[bytes, bytes]:
    """A certificate chain and a key that nobody trusts, made on the spot."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.now(datetime.UTC)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "leaf")}
    chain = []
    for name in ("leaf", "root"):
        root = name == "root"
        names = {
            who: x509.Name(
                [
                    x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Nobody"),
                    x509.NameAttribute(x509.NameOID.COMMON_NAME, who),
                ]
            )
            for who in keys
        }
        usage = dict.fromkeys(
            [
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ],
            False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[name])
            .issuer_name(names["root"])
            .public_key(keys[name].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=root, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(keys[name].public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys["root"].public_key()),
                critical=False,
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not root, key_cert_sign=root, crl_sign=root, **usage
                ),
                critical=True,
            )
        )
        if not root:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
            )
        signed = builder.sign(keys["root"], hashes.SHA256())
        chain.append(signed.public_bytes(serialization.Encoding.PEM))
    key = keys["leaf"].private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return b"".join(chain), key


def with_manifest(kind: str, source_type: str, credentials: tuple[bytes, bytes]) -> bytes:
    c2pa = pytest.importorskip("c2pa")
    action = {"action": "c2pa.created", "digitalSourceType": IPTC + source_type}
    manifest = {
        "claim_generator_info": [{"name": "test"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
    }
    settings = c2pa.Settings.from_dict({"builder": {"thumbnail": {"enabled": False}}})
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", *credentials, None))
    signed = io.BytesIO()
    with c2pa.Builder(json.dumps(manifest), c2pa.Context(settings)) as builder:
        builder.sign(signer, f"image/{kind.lower()}", io.BytesIO(encode(kind)), signed)
    return signed.getvalue()


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.mark.usefixtures("_no_network")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", ["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"]
)
def test_a_manifest_that_names_a_model(
    kind: str, name: str, credentials: tuple[bytes, bytes]
) -> None:
    encoded = with_manifest(kind, name, credentials)
    assert evidence(encoded) == f"{SOURCE_TYPES[name]}, says its C2PA manifest ({name})"


def test_a_manifest_of_a_camera_is_no_sign(credentials: tuple[bytes, bytes]) -> None:
    assert signs_of_generation(with_manifest("JPEG", "digitalCapture", credentials)) == ()


def test_a_damaged_manifest_is_unread(credentials: tuple[bytes, bytes]) -> None:
    encoded = bytearray(with_manifest("WEBP", "trainedAlgorithmicMedia", credentials))
    at = encoded.index(b"jumdc2pa")
    encoded[at + 80 : at + 200] = bytes(120)
    (sign,) = signs_of_generation(bytes(encoded))
    assert sign.kind == "unread"
    assert "cannot be read" in sign.evidence


def test_without_the_library_a_manifest_is_announced(
    credentials: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = with_manifest("PNG", "trainedAlgorithmicMedia", credentials)
    monkeypatch.setitem(sys.modules, "c2pa", None)
    (sign,) = signs_of_generation(encoded)
    assert sign.kind == "unread"
    assert "pareja[c2pa]" in sign.evidence
