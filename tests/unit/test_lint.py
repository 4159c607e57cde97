"""What may not be published: found with real keys and hashes, and not where there is none."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from netboot.errors import InvalidInput, NetbootError, NotFound
from netboot.images.lint import Allowance, Finding, parse_rules
from netboot.images.linting import LARGEST_READ, lint_tree, load_rules, refuse_secrets
from netboot.images.recipe import parse_recipe
from netboot.system.crypt import is_hash_of

RULES = load_rules()


def put(root: Path, name: str, content: str | bytes) -> Path:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def found(root: Path, *allowed: str) -> dict[str, str]:
    return {each.path: each.rule for each in lint_tree(root, [Allowance.parse(text) for text in allowed])}


def made(*argv: str, input: str | None = None) -> bytes:
    """What a real program prints."""
    return subprocess.run(argv, capture_output=True, check=True, input=input.encode() if input else None).stdout


# -- keys that real programs make


@pytest.mark.parametrize(
    "argv",
    [
        ("openssl", "genpkey", "-algorithm", "ED25519"),
        ("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"),
        ("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-aes256", "-pass", "pass:x"),
        ("openssl", "genrsa", "-traditional", "1024"),
        ("openssl", "genrsa", "-traditional", "-aes128", "-passout", "pass:abcd", "1024"),
        ("openssl", "ecparam", "-genkey", "-name", "prime256v1"),
    ],
)
def test_keys_of_openssl_are_found_anywhere(tmp_path: Path, argv: tuple[str, ...]) -> None:
    put(tmp_path, "srv/app/deep/thing.txt", made(*argv))
    assert found(tmp_path) == {"srv/app/deep/thing.txt": "private-key"}


@pytest.mark.parametrize(
    "options", [("-t", "ed25519"), ("-t", "rsa", "-b", "1024", "-m", "PEM"), ("-t", "ecdsa", "-N", "pass")]
)
def test_keys_of_ssh_are_found_and_their_public_halves_are_not(tmp_path: Path, options: tuple[str, ...]) -> None:
    folder = tmp_path / "home/ann/.ssh"
    folder.mkdir(parents=True)
    password = () if "-N" in options else ("-N", "")
    made("ssh-keygen", "-q", *options, *password, "-f", str(folder / "id"))
    assert found(tmp_path) == {"home/ann/.ssh/id": "private-key"}
    made(
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-f",
        str(put(tmp_path, "etc/ssh/x", "").parent / "ssh_host_ed25519_key"),
    )
    assert found(tmp_path)["etc/ssh/ssh_host_ed25519_key"] == "ssh-host-key"
    assert len(found(tmp_path)) == 2


def test_a_key_within_other_text_is_found(tmp_path: Path) -> None:
    key = made("openssl", "genpkey", "-algorithm", "ED25519").decode()
    put(tmp_path, "opt/account.json", '{"type": "service_account", "private_key": "' + key.replace("\n", "\\n") + '"}')
    put(tmp_path, "etc/openvpn/client.conf", f"remote x\n<key>\n{key}</key>\n")
    put(tmp_path, "opt/dos.pem", key.replace("\n", "\r\n"))
    put(tmp_path, "opt/late.log", b"x" * (LARGEST_READ - 1000) + b"\n" + key.encode())
    assert set(found(tmp_path).values()) == {"private-key"}
    assert len(found(tmp_path)) == 4


def test_certificates_public_keys_and_programs_that_know_headers_are_fine(tmp_path: Path) -> None:
    key = put(tmp_path, "x/key", made("openssl", "genpkey", "-algorithm", "ED25519"))
    certificate = made("openssl", "req", "-x509", "-key", str(key), "-subj", "/CN=x", "-days", "9")
    put(tmp_path, "etc/ssl/certs/x.pem", certificate * 3)
    put(tmp_path, "etc/ssl/public.pem", made("openssl", "pkey", "-in", str(key), "-pubout"))
    key.unlink()
    header = "-----BEGIN RSA PRIVATE KEY-----"
    put(tmp_path, "usr/lib/python3/keys.py", f'START = "{header}"\nEND = "-----END RSA PRIVATE KEY-----"\n' * 20)
    put(tmp_path, "usr/share/doc/manual.txt", f"The file begins with\n\n    {header}\n\nand holds the key in base64.\n")
    put(tmp_path, "usr/bin/ssh-keygen", b"\x7fELF" + header.encode() + b"\n" + b"A" * 100)
    assert found(tmp_path) == {}


# -- what packages bring


def test_a_key_that_a_package_brought_is_public_until_it_is_changed(tmp_path: Path) -> None:
    key = made("openssl", "genpkey", "-algorithm", "ED25519")
    digest = hashlib.md5(key, usedforsecurity=False).hexdigest()
    names = ["usr/share/doc/x/test.key", "etc/x/test.key", "usr/local/test.key"]
    for name in names:
        put(tmp_path, name, key)
    put(tmp_path, "var/lib/dpkg/info/x:amd64.md5sums", "".join(f"{digest}  {name}\n" for name in names))
    # What is in /etc is this system's, and what is in /usr/local no package's, whatever lists say.
    assert set(found(tmp_path)) == {"etc/x/test.key", "usr/local/test.key"}
    put(tmp_path, "usr/share/doc/x/test.key", made("openssl", "genpkey", "-algorithm", "ED25519"))
    assert "usr/share/doc/x/test.key" in found(tmp_path)


# -- accounts


def shadow(root: Path, *fields: str) -> None:
    put(root, "etc/shadow", "".join(f"{each}:19000:0:99999:7:::\n" for each in fields))


def test_accounts_that_nobody_can_log_in_to_are_fine(tmp_path: Path) -> None:
    shadow(tmp_path, "root:*", "daemon:!", "sshd:!!", "a:!*", "b:x", "c:*LK*", "d:NP")
    put(tmp_path, "etc/passwd", "root:x:0:0:root:/root:/bin/bash\n# comment\n\n+::::::\n".replace("+::::::\n", ""))
    put(tmp_path, "etc/gshadow", "root:*::\nusers:::\n")
    assert found(tmp_path) == {}


def test_passwords_are_found_locked_or_not_in_every_file_of_accounts(tmp_path: Path) -> None:
    strong = made("openssl", "passwd", "-6", "-salt", "ab", "correct horse").decode().strip()
    des = made("openssl", "passwd", "-1", "-salt", "ab", "correct horse").decode().strip()
    shadow(tmp_path, f"ann:{strong}", f"bob:!{strong}", "guest:", f"old:{des}")
    put(tmp_path, "etc/shadow-", f"ann:{strong}:1:0:99999:7:::\n")
    put(tmp_path, "etc/gshadow", f"staff:{strong}::\nopen:::\n")
    put(tmp_path, "etc/passwd", f"ann:{strong}:1000:1000::/home/ann:/bin/sh\nroot:x:0:0::/root:/bin/sh\n")
    assert found(tmp_path) == {
        "etc/shadow:ann": "password-hash",
        "etc/shadow:bob": "password-hash",
        "etc/shadow:guest": "no-password",
        "etc/shadow:old": "password-hash",
        "etc/shadow-:ann": "password-hash",
        "etc/gshadow:staff": "password-hash",
        "etc/passwd:ann": "password-hash",
    }


def test_passwords_on_everybodys_list_are_named_as_such(tmp_path: Path) -> None:
    hashes = {
        word: made("openssl", "passwd", "-6", "-salt", "xy", word).decode().strip() for word in ("toor", "kiosk9")
    }
    shadow(tmp_path, f"root:{hashes['toor']}", f"kiosk9:{hashes['kiosk9']}", f"other:{hashes['kiosk9']}")
    assert found(tmp_path) == {
        "etc/shadow:root": "default-password",
        "etc/shadow:kiosk9": "default-password",  # its own name
        "etc/shadow:other": "password-hash",
    }


def test_the_systems_own_library_knows_the_kinds_of_hashes() -> None:
    # Made by mkpasswd, of "netboot": yescrypt, SHA-512, MD5.
    assert is_hash_of("netboot", made("openssl", "passwd", "-5", "netboot").decode().strip())
    assert is_hash_of("netboot", made("openssl", "passwd", "-1", "netboot").decode().strip())
    assert not is_hash_of("other", made("openssl", "passwd", "-6", "netboot").decode().strip())
    assert not is_hash_of("x", "$99$unknown$hash") and not is_hash_of("x", "with\0zero")


# -- credentials by path: a file with one, and the same file without

CREDENTIALS: dict[str, tuple[str, str | bytes, str | bytes]] = {
    "aws-credentials": (
        "root/.aws/credentials",
        "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG\n",
        "[default]\nregion = eu-central-1\n",
    ),
    "gcloud-credentials": ("home/ann/.config/gcloud/application_default_credentials.json", '{"token": "1//x"}', ""),
    "azure-credentials": ("root/.azure/msal_token_cache.json", '{"AccessToken": {}}', ""),
    "kubeconfig": (
        "root/.kube/config",
        "users:\n- name: admin\n  user:\n    token: eyJhbGciOi\n",
        "clusters:\n- cluster:\n    server: https://k:6443\n    certificate-authority-data: LS0t\n",
    ),
    "netrc": ("root/.netrc", "machine x login ann password s3cret\n", "machine x login ann\n"),
    "pgpass": ("home/ann/.pgpass", "db:5432:*:ann:s3cret\n", "# host:port:db:user:password\n"),
    "mysql-password": ("root/.my.cnf", "[client]\npassword = s3cret\n", "[client]\nuser = ann\n"),
    "docker-auth": (
        "root/.docker/config.json",
        '{"auths": {"https://r.example": {"auth": "YW5uOnMzY3JldA=="}}}',
        '{"auths": {"https://r.example": {}}, "credsStore": "pass"}',
    ),
    "package-token": ("home/ann/.npmrc", "//r.example/:_authToken=npm_abc\n", "registry=https://r.example/\n"),
    "git-credentials": ("root/.git-credentials", "https://ann:s3cret@git.example\n", "https://git.example\n"),
    "vault-token": ("root/.vault-token", "hvs.abc", ""),
    "wifi-password": (
        "etc/wpa_supplicant/wlan0.conf",
        'network={\n  ssid="x"\n  psk="s3cret s3cret"\n}\n',
        'network={\n  ssid="x"\n  key_mgmt=NONE\n  #psk="x"\n}\n',
    ),
    "connection-secret": (
        "etc/NetworkManager/system-connections/office.nmconnection",
        "[wifi-security]\nkey-mgmt=wpa-psk\npsk=s3cret\n",
        "[wifi-security]\nkey-mgmt=wpa-psk\npsk-flags=1\n",
    ),
    "vpn-key": (
        "etc/wireguard/wg0.conf",
        "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n",
        "[Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n",
    ),
    "dial-in-password": ("etc/ppp/chap-secrets", "ann * s3cret *\n", "# client server secret IP\n"),
    "directory-password": ("etc/sssd/sssd.conf", "[domain/x]\nldap_default_authtok = s3cret\n", "[domain/x]\nldap_uri = ldap://x\n"),
    "mount-password": (
        "etc/fstab",
        "//nas/x /mnt cifs user=ann,password=s3cret 0 0\n",
        "//nas/x /mnt cifs credentials=/run/cred 0 0\n# password=x\n",
    ),
    "mail-password": ("etc/postfix/sasl_passwd", "[mail.example]:587 ann:s3cret\n", "# [host]:port user:password\n"),
    "browser-logins": ("home/ann/.mozilla/firefox/x.default/logins.json", '{"logins": []}', ""),
    "keyring": ("root/.gnupg/private-keys-v1.d/AB.key", "(21:protected-private-key", ""),
    "key-store": ("etc/app/server.p12", b"\x30\x82\x01\x02", ""),
    "keytab": ("srv/http.keytab", b"\x05\x02\x00\x00\x00\x4a", b"not a keytab at all"),
    "munge-key": ("etc/munge/munge.key", b"\x01\x02", ""),
    "access-token": ("srv/app/.env", "TOKEN=" + "ghp_" + "a1B2" * 9 + "\n" * 30, "TOKEN=ghp_short\n" + "\n" * 60),
    "putty-key": (
        "home/ann/x.ppk",
        "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n" + "A" * 64,
        "PuTTY-User-Key-File-x\n" * 9,
    ),
    "age-key": ("root/key.txt", "AGE-SECRET-KEY-1" + "Q" * 58 + "\n", "AGE-SECRET-KEY-1 is how they begin\n" * 9),
}  # fmt: skip


@pytest.mark.parametrize("rule", CREDENTIALS)
def test_credentials_are_found_and_files_without_are_fine(tmp_path: Path, rule: str) -> None:
    name, bad, good = CREDENTIALS[rule]
    put(tmp_path, name, bad)
    assert found(tmp_path) == {name: rule}
    put(tmp_path, name, good)
    assert found(tmp_path) == {}


def test_every_rule_has_a_test_here() -> None:
    elsewhere = {"private-key", "ssh-host-key", "password-hash", "default-password", "no-password"}
    assert {*CREDENTIALS, *elsewhere} == set(RULES.names)


# -- what is told, and what is allowed


def test_nothing_that_is_told_holds_the_secret(tmp_path: Path) -> None:
    for name, bad, _ in CREDENTIALS.values():
        put(tmp_path, name, bad)
    with pytest.raises(NetbootError) as caught:
        refuse_secrets(tmp_path)
    said = str(caught.value)
    assert "aws-credentials:root/.aws/credentials: keys of a cloud account" in said
    assert "--allow " in (caught.value.hint or "")
    assert [word for word in ("s3cret", "wJalr", "AKIA", "eyJ", "yAnz", "ghp_a") if word in said] == []


def test_what_is_named_is_allowed_and_nothing_else(tmp_path: Path) -> None:
    key = made("openssl", "genpkey", "-algorithm", "ED25519")
    put(tmp_path, "etc/app/one.key", key)
    put(tmp_path, "etc/app/two.key", key)
    shadow(tmp_path, "ann:$6$ab$" + "x" * 86, "bob:$6$ab$" + "y" * 86)
    one = "private-key:/etc/app/one.key"
    assert set(found(tmp_path, one)) == {"etc/app/two.key", "etc/shadow:ann", "etc/shadow:bob"}
    assert set(found(tmp_path, "private-key:etc/app/*.key", "password-hash:etc/shadow:ann")) == {"etc/shadow:bob"}
    assert set(found(tmp_path, "password-hash:etc/shadow", "keytab:etc/app/*")) == {
        "etc/app/one.key",
        "etc/app/two.key",
    }
    refuse_secrets(tmp_path, [Allowance.parse(each) for each in ("private-key:**", "password-hash:etc/shadow")])


def test_an_allowance_that_allows_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="RULE:PATH"):
        Allowance.parse("etc/app/key")
    with pytest.raises(InvalidInput, match="'private-keys' is no rule") as caught:
        found(tmp_path, "private-keys:etc/x")
    assert "there is private-key" in (caught.value.hint or "")


def test_a_recipe_allows_and_prepares() -> None:
    recipe = parse_recipe(
        'suite = "bookworm"\nsize = "2G"\npackages = []\nallow = ["keytab:srv/x"]\n'
        '[prepare]\nexempt = ["etc/hosts"]\n[[prepare.state]]\npaths = ["x"]\naction = "remove"\nwhy = "because"\n',
        name="x",
        folder=Path("/x"),
    )
    assert recipe.allow[0].covers(Finding(rule="keytab", path="srv/x", why=""))
    assert (recipe.prepare.rules[0].group, recipe.prepare.exempt[0].text) == ("state", "etc/hosts")


# -- trees that mean no good


def test_links_and_pipes_are_not_read(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    key = put(tmp_path, "outside/key", made("openssl", "genpkey", "-algorithm", "ED25519"))
    put(tree, "etc/x", "")
    (tree / "etc/link").symlink_to(key)
    (tree / "srv").symlink_to(key.parent)
    os.mkfifo(tree / "etc/shadow")
    os.mkfifo(tree / "etc/fstab")
    assert found(tree) == {}


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no folder"):
        lint_tree(tmp_path / "x")


@pytest.mark.parametrize("rule", [{}, {"why": 1}, {"why": "w", "path": ["x"]}, {"why": "w", "signs": ["("]}, "x"])
def test_a_table_that_is_wrong_is_refused(rule: object) -> None:
    with pytest.raises(InvalidInput, match=r"^x"):
        parse_rules({"x": rule})
