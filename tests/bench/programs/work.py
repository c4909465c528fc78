# SPDX-License-Identifier: MIT
"""What Python programs do: objects, dictionaries, strings, regular expressions, JSON, a generator."""
import collections
import heapq
import json
import re
import sys


def queens(size, row=0, columns=0, up=0, down=0):
    if row == size:
        return 1
    total, free = 0, ~(columns | up | down) & ((1 << size) - 1)
    while free:
        bit = free & -free
        free ^= bit
        total += queens(size, row + 1, columns | bit, (up | bit) << 1, (down | bit) >> 1)
    return total


class Grid:
    def __init__(self, size):
        self.size, self.cost = size, {(x, y): (x * 7 + y * 13) % 9 + 1 for x in range(size) for y in range(size)}

    def around(self, x, y):
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            if (x + dx, y + dy) in self.cost:
                yield x + dx, y + dy

    def cheapest(self):
        best, queue = {(0, 0): 0}, [(0, (0, 0))]
        while queue:
            cost, at = heapq.heappop(queue)
            if cost > best[at]:
                continue
            for to in self.around(*at):
                total = cost + self.cost[to]
                if total < best.get(to, 1 << 30):
                    best[to] = total
                    heapq.heappush(queue, (total, to))
        return best[self.size - 1, self.size - 1]


def words(path):
    pattern = re.compile(r"^(\d+) +(\w+) +(host\d+) unit-(\d+): (.*) took=(\d+)")
    count, slow = collections.Counter(), collections.defaultdict(list)
    with open(path, encoding="ascii") as stream:
        for number, line in enumerate(stream):
            if number == 5000:
                break
            match = pattern.match(line)
            count.update(match[5].split())
            slow[match[3]].append({"unit": int(match[4]), "took": int(match[6]), "level": match[2]})
    text = json.dumps(slow, sort_keys=True)
    back = json.loads(text)
    return sorted(count.items()), len(text), sum(max(e["took"] for e in rows) for rows in back.values())


print(queens(8), Grid(60).cheapest(), *words(sys.argv[1]))
print(sum(1.0 / (i * i) for i in range(1, 60000)), pow(3, 100003, 10**40 + 7))
