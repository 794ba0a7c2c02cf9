# Flash of some object files, from the linker's map: lines ` .text.name  0x...  0x<size>  path/name.o`, of which the
# name may stand on a line of its own.
/^Linker script and memory map/ { linked = 1 }
/^ \.(text|rodata)[^ ]*$/ { section = $1; next }
linked && /^ \.(text|rodata)[^ ]* +0x/ { count($3, $4); section = ""; next }
linked && section != "" && /^ +0x/ { count($2, $3) }
{ section = "" }

function count(size, path,   name) {
    name = path
    sub(/.*\//, "", name)
    sub(/\.o$/, "", name)
    if (name ~ "^(" parts ")$") {
        bytes[name] += number(size)
        total += number(size)
    }
}

function number(hex,   k, value) {
    for (k = 3; k <= length(hex); k++)
        value = value * 16 + index("0123456789abcdef", substr(hex, k, 1)) - 1
    return value
}

END {
    for (name in bytes)
        printf "%7d  %s\n", bytes[name], name
    printf "%7d  bytes of flash: codec and command handling\n", total
}
