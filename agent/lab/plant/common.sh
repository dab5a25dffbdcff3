# Runs before each host's own script: its name, and the intranet's package mirror as its only source.
set -eu
export DEBIAN_FRONTEND=noninteractive
printf '%s\n' "$NAME" > /etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost\n' "$NAME" > /etc/hosts
printf 'deb [trusted=yes] %s/debian-security oldstable-security main\n' "$MIRROR" > /etc/apt/sources.list
# set KEY VALUE FILE: replace or add a `KEY VALUE` line
set_word() { sed -i -E "/^[#[:space:]]*$1[[:space:]]/d" "$3"; printf '%s %s\n' "$1" "$2" >> "$3"; }
# make_jar FILE GROUP ARTIFACT VERSION: an archive with a manifest and pom.properties, stored; or, with `-` for the group,
# an archive of 1.2 MB that holds the members named after it. There is no zip here, so perl writes it.
make_jar() {
    mkdir -p "${1%/*}"
    perl -e '
        my ($file, $group, @rest) = @ARGV;
        my @t = map { my $c = $_; $c = $c & 1 ? ($c >> 1) ^ 0xEDB88320 : $c >> 1 for 1 .. 8; $c } 0 .. 255;
        my @files = ["META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nCreated-By: the lab\r\n\r\n"];
        if ($group eq "-") { push @files, [$_, "the lab"] for @rest; push @files, ["padding", "x" x 1_200_000] }
        else { push @files, ["META-INF/maven/$group/$rest[0]/pom.properties", "version=$rest[1]\ngroupId=$group\nartifactId=$rest[0]\n"] }
        my ($body, $list) = ("", "");
        for (@files) {
            my ($name, $data) = @$_;
            my $crc = 0xFFFFFFFF;
            $crc = ($crc >> 8) ^ $t[($crc ^ $_) & 255] for unpack "C*", $data;
            my $head = pack "vvvvvVVVvv", 10, 0, 0, 0, 33, $crc ^ 0xFFFFFFFF, length $data, length $data, length $name, 0;
            $list .= "PK\1\2" . pack("v", 20) . $head . pack("vvvVV", 0, 0, 0, 0, length $body) . $name;
            $body .= "PK\3\4" . $head . $name . $data;
        }
        my $end = "PK\5\6" . pack "vvvvVVv", 0, 0, scalar @files, scalar @files, length $list, length $body, 0;
        open my $out, ">", $file or die $file; binmode $out; print $out $body, $list, $end; close $out or die $file;
    ' "$@"
}
