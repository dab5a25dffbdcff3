#!/bin/sh
# Verify this folder with a POSIX shell, openssl and sha256sum; nothing else is needed.
#
#   sh verify.sh [-k FINGERPRINT] [-n HEAD]
#
# -k: the signer's key fingerprint, from a place other than this folder (paper, a report)
# -n: a head hash from a report: this ledger must contain it, or it is older than the report
# Exit code: 0 all is well, 1 something is wrong (each place is named), 2 it could not be checked.
set -u
LC_ALL=C
export LC_ALL
umask 077

fingerprint=
head=
while getopts k:n: option; do
    case $option in
        k) fingerprint=$OPTARG ;;
        n) head=$OPTARG ;;
        *) exit 2 ;;
    esac
done
case $0 in */*) cd "${0%/*}" || exit 2 ;; esac

failed=0
bad() {
    # What was tampered with may hold bytes that a terminal obeys: they are not shown.
    case $1$2 in *[!\ -~]*) set -- "${3:-this folder}" 'holds bytes that are no text: it was edited' ;; esac
    printf 'FAILED  %s: %s\n' "$1" "$2"
    failed=1
}
hash_of() { sha256sum | { read -r sum rest; printf '%s' "$sum"; }; }

for tool in openssl sha256sum; do
    command -v "$tool" >/dev/null 2>&1 || { echo "verify.sh needs $tool" >&2; exit 2; }
done
for file in ledger.txt checkpoint.txt checkpoint.sig checkpoint-ed25519.sig sign.pub sign-ed25519.pub SHA256SUMS; do
    [ -s "$file" ] || bad "$file" 'is missing or empty'
done
[ "$failed" = 0 ] || exit 1
tmp=${TMPDIR:-/tmp}/verify.$$
mkdir "$tmp" || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 2' HUP INT TERM

# 1. No file differs from the list. sha256sum ignores lines that it cannot read: they are counted.
listed=0
while IFS= read -r line || [ -n "$line" ]; do
    listed=$((listed + 1))
done <SHA256SUMS
sha256sum -c SHA256SUMS >"$tmp/sums" 2>/dev/null || failed=1
good=0
core=' '
while IFS= read -r line; do
    case $line in
        *': OK') good=$((good + 1)); core="$core${line%: OK} " ;;
        *) bad "${line%%: *}" 'differs from SHA256SUMS' SHA256SUMS ;;
    esac
done <"$tmp/sums"
[ "$good" = "$listed" ] || bad SHA256SUMS "has $listed lines, $good of them hold"
for file in ledger.txt checkpoint.txt checkpoint.sig checkpoint-ed25519.sig sign.pub sign-ed25519.pub verify.sh; do
    case $core in *" $file "*) ;; *) bad SHA256SUMS "does not vouch for $file" ;; esac
done

# 2. The checkpoint is signed.
openssl dgst -sha256 -verify sign.pub -signature checkpoint.sig checkpoint.txt >/dev/null 2>&1 ||
    bad checkpoint.sig 'the ECDSA signature over checkpoint.txt is not good'
case $(openssl version) in
    'OpenSSL '[3-9].*)
        openssl pkeyutl -verify -pubin -inkey sign-ed25519.pub -rawin -in checkpoint.txt \
            -sigfile checkpoint-ed25519.sig >/dev/null 2>&1 ||
            bad checkpoint-ed25519.sig 'the Ed25519 signature over checkpoint.txt is not good'
        ;;
    *) echo 'note: this openssl cannot verify Ed25519; the ECDSA signature was verified' ;;
esac
signer=$(cat sign.pub sign-ed25519.pub | hash_of)
if [ -n "$fingerprint" ] && [ "$fingerprint" != "$signer" ]; then
    bad sign.pub "is a foreign key ($signer)"
fi

# 3. What the checkpoint says.
signed_seq=
signed_head=
signed_at=
{
    IFS= read -r type
    [ "$type" = 'secops-agent checkpoint 1' ] || bad checkpoint.txt 'is no checkpoint of this kind'
    while read -r name value; do
        case $name in
            seq) signed_seq=$value ;;
            head) signed_head=$value ;;
            at) signed_at=$value ;;
        esac
    done
} <checkpoint.txt

# 4. The chain: each hash is SHA256(hash before, newline, line of JSON, newline).
zero=0000000000000000
prev=$zero$zero$zero$zero
number=0
found=
mkdir "$tmp/chain"
while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    hash=${line%% *}
    json=${line#* }
    case $hash in
        *[!0-9a-f]* | '') hash=x ;;
    esac
    [ ${#hash} = 64 ] || { bad "ledger.txt:$number" 'is no entry'; hash=$prev; }
    case $json in
        *"\"seq\":$number,"*) ;;
        *) bad "ledger.txt:$number" "is not entry $number: removed, inserted or reordered" ;;
    esac
    printf '%s\n%s\n' "$prev" "$json" >"$tmp/chain/$number"
    printf '%s  %s\n' "$hash" "$number" >>"$tmp/list"
    [ "$hash" != "$head" ] || found=yes
    prev=$hash
done <ledger.txt
(cd "$tmp/chain" && sha256sum -c ../list) >"$tmp/result" 2>/dev/null || failed=1
while IFS= read -r line; do
    case $line in *': OK') ;; *) bad "ledger.txt:${line%%: *}" 'does not have its hash: it was edited' ;; esac
done <"$tmp/result"
[ "$number" = "$signed_seq" ] ||
    bad ledger.txt "has $number entries, the signed checkpoint says ${signed_seq:-nothing}" checkpoint.txt
case $signed_at in *[!0-9TZ:.-]*) bad checkpoint.txt 'holds a time that is none' ;; esac
[ "$prev" = "$signed_head" ] || bad ledger.txt 'does not end at the signed head'
if [ -n "$head" ] && [ -z "$found" ]; then
    bad ledger.txt "does not contain the head $head: an older or another ledger"
fi

# 5. Contents, where they were exported: each has the address that its entry names.
if [ -e contents.txt ] || [ -d content ]; then
    [ -f contents.txt ] || { bad contents.txt 'is missing'; : >"$tmp/none"; }
    index=contents.txt
    [ -f contents.txt ] || index=$tmp/none
    count=0
    while read -r seq blob algorithm salt; do
        count=$((count + 1))
        case $seq in
            '' | *[!0-9]*) bad "contents.txt:$count" 'is no content'; continue ;;
        esac
        entry=
        [ ! -f "$tmp/chain/$seq" ] || { IFS= read -r entry; IFS= read -r entry; } <"$tmp/chain/$seq"
        entry=${entry#*\"blob\":\"}
        [ "${entry%%\"*}" = "$blob" ] || bad "contents.txt:$count" "is not what entry $seq names"
        if [ ! -f "content/$seq.head" ] || [ ! -f "content/$seq.data" ]; then
            bad "content/$seq.data" 'is missing'
            continue
        fi
        case $algorithm in
            AES-256-GCM)
                sum=$({ printf 'agent-blob-v1\n%s\n' "$salt"; cat "content/$seq.head" "content/$seq.data"; } | hash_of)
                ;;
            SM4-GCM)
                sum=$({ printf 'agent-blob-v1\n%s\n' "$salt"; cat "content/$seq.head" "content/$seq.data"; } |
                    openssl dgst -sm3 -r | { read -r sum rest; printf '%s' "$sum"; })
                ;;
            *) sum= ;;
        esac
        [ "$sum" = "$blob" ] || bad "content/$seq.data" "is not what was sealed as entry $seq"
    done <"$index"
    files=0
    for file in content/*; do
        [ ! -e "$file" ] || files=$((files + 1))
    done
    [ "$files" = $((count * 2)) ] || bad content "has $files files, contents.txt names $((count * 2))"
fi

if [ "$failed" != 0 ]; then
    echo 'NOT VERIFIED'
    exit 1
fi
echo "verified: $number entries, head $prev, signed at $signed_at"
if [ -z "$fingerprint" ]; then
    echo "signed by key $signer: compare it with the fingerprint on paper, or give it with -k"
fi
exit 0
