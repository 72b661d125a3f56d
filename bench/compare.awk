# The table of bench/compare. First file: the rows; second: a line of JSON for each measurement, whose tag is the number of the
# first row that it belongs to.

function value(name,    at, rest) {
    at = index($0, "\"" name "\":")
    if (at == 0) return ""
    rest = substr($0, at + length(name) + 3)
    sub(/^"/, "", rest)
    sub(/[",}].*/, "", rest)
    return rest
}

function median(list, n,    i, j, t) {
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && list[j] < list[j - 1]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
    return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

function time(ns) {
    return ns < 1000 ? sprintf("%.0f ns", ns) : ns < 1e6 ? sprintf("%.1f us", ns / 1e3) : sprintf("%.1f ms", ns / 1e6)
}

function show(field, v) { return field == "growth" || field == "rss" ? sprintf("%.1f MB", v / 1000) : time(v) }

function keep(row, server, round, v, isClean) {
    if (v + 0 <= 0) return
    kept[row, server, round] = v + 0
    clean[row, server, round] = isClean
    if (round > last) last = round
}

# Fills list with the values of a server, or with their ratios to the first server's; returns how many.
function collect(row, server, cleanOnly, isRatio, list,    r, n) {
    n = 0
    for (r = 1; r <= last; r++) {
        if (!((row, server, r) in kept) || (cleanOnly && !clean[row, server, r])) continue
        if (!isRatio) list[++n] = kept[row, server, r]
        else if ((row, first, r) in kept && (!cleanOnly || clean[row, first, r])) list[++n] = kept[row, server, r] / kept[row, first, r]
    }
    return n
}

# The median, or "" when there is nothing; sets rough when runs that others disturbed are in it.
function best(row, server, isRatio,    list, n, r) {
    n = collect(row, server, 1, isRatio, list)
    if (n < 3) {
        split("", list)
        n = collect(row, server, 0, isRatio, list)
        for (r = 1; r <= last; r++)
            if ((row, server, r) in kept && !clean[row, server, r]) rough = 1
    }
    return n == 0 ? "" : median(list, n)
}

function line(row,    i, text) {
    text = sprintf("%-26s %-19s", cell[row, "name"], cell[row, "place"])
    for (i = 1; i <= servers; i++) text = text sprintf(" %12s", cell[row, i])
    if (hasFloor) text = text sprintf(" %12s", cell[row, "floor"])
    for (i = 2; i <= servers; i++) text = text sprintf(" %10s", cell[row, "ratio" i])
    print text sprintf(" %8s  %s", cell[row, "most"], cell[row, "met"])
}

FNR == 1 { file++ }

file == 1 {
    split($0, part, "|")
    rows++
    name[rows] = part[1]; place[rows] = part[2]; most[rows] = part[3]; field[rows] = part[4]; result[rows] = part[5]; command[rows] = part[6]
    times[rows] = split(part[7], bare, "/") > 1 ? bare[2] : 1
    next
}

value("round") + 0 > 0 {
    server = value("impl"); round = value("round") + 0; tag = value("tag") + 0; bench = value("bench"); live = value("live")
    total++
    lost = value("other_ms") > value("steal_ms") ? value("other_ms") : value("steal_ms")
    limit = 80 * value("seconds") > 15 ? 80 * value("seconds") : 15
    isClean = lost + 0 <= limit
    if (!isClean) disturbed++
    if (server == "floor") {
        hasFloor = 1
        keep(tag, server, round, value(field[tag]) / times[tag], isClean)
        next
    }
    if (bench == "rss") before[tag, server, round] = value("rss_kb")
    for (row = tag; row <= rows && place[row] == place[tag] && command[row] == command[tag]; row++) {
        if (result[row] == "dma_map+dma_unmap" && (bench == "dma_map" || bench == "dma_unmap")) {
            sum[row, server, round] += value("p50")
            if (bench == "dma_unmap") keep(row, server, round, sum[row, server, round], isClean)
        } else if (result[row] == bench || result[row] == bench " " live) {
            if (field[row] == "total") v = value("ns_op") * value("ops")
            else if (field[row] == "growth") v = value("rss_kb") - before[tag, server, round]
            else if (field[row] == "rss") v = value("rss_kb")
            else if (field[row] == "startup") v = value("p50")
            else v = value("ops") == "0" ? "" : value(field[row])
            keep(row, server, round, v, isClean)
        }
    }
}

END {
    servers = split(names, list, ",")
    first = list[1]
    cell["head", "name"] = "what"; cell["head", "place"] = "placement"; cell["head", "most"] = "at most"; cell["head", "floor"] = "floor"
    for (i = 1; i <= servers; i++) { cell["head", i] = list[i]; cell["head", "ratio" i] = "/ " first }
    line("head")
    for (row = 1; row <= rows; row++) {
        v = best(row, "floor", 0)
        cell[row, "floor"] = v == "" ? "" : show(field[row], v)
        rough = 0
        for (i = 1; i <= servers; i++) {
            v = best(row, list[i], 0)
            cell[row, i] = v != "" ? show(field[row], v) : place[row] == "client" && list[i] != "ours" ? "" : "fails"
            ratio = i == 1 ? "" : best(row, list[i], 1)
            cell[row, "ratio" i] = ratio == "" ? "" : sprintf(ratio < 0.1 ? "%.3f" : "%.2f", ratio)
        }
        met = most[row] == "" ? "" : most[row] ~ /ms/ ? (v != "" && v <= 1e6 * most[row]) : most[row] ~ /MB/ ? (v != "" && v <= 1000 * most[row]) \
            : ratio == "" ? "" : ratio <= most[row] + 0
        cell[row, "name"] = name[row]; cell[row, "place"] = place[row]; cell[row, "most"] = most[row]
        cell[row, "met"] = (met == "" ? "" : met ? "met" : "MISSED") (rough ? " ~" : "")
        line(row)
    }
    printf "%d measurements, %d of them disturbed by other programs (~ where a row could not do without)\n", total, disturbed
}
