-- SPDX-License-Identifier: MIT
-- What SQLite is used for: inserts in a transaction, indices, joins, aggregates, updates, text.
CREATE TABLE part(id INTEGER PRIMARY KEY, name TEXT, price INTEGER, class INTEGER);
CREATE TABLE sale(id INTEGER PRIMARY KEY, part INTEGER, amount INTEGER, day INTEGER, note TEXT);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
INSERT INTO part SELECT i, printf('part-%05d-%x', i, i * 2654435761 % 65521), i * 7919 % 997 + 1, i % 13 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
INSERT INTO sale SELECT i, i * 48271 % 3000 + 1, i % 17 + 1, i * 31 % 365, 'note ' || hex(i * 69621 % 2147483647) FROM n;
COMMIT;
CREATE INDEX sale_part ON sale(part);
CREATE INDEX sale_day ON sale(day, part);
SELECT class, count(*), sum(amount * price), avg(price) FROM part JOIN sale ON sale.part = part.id GROUP BY class ORDER BY class;
SELECT day, count(DISTINCT part), max(note) FROM sale WHERE day BETWEEN 40 AND 55 GROUP BY day ORDER BY 1;
UPDATE part SET price = price + (SELECT sum(amount) FROM sale WHERE sale.part = part.id) WHERE class < 4;
DELETE FROM sale WHERE note LIKE '%A7%' OR amount = 3;
SELECT name, price FROM part ORDER BY price DESC, name LIMIT 20;
SELECT count(*), sum(length(note)), total(amount) FROM sale;
SELECT p.name, q.name FROM part p JOIN part q ON q.price = p.price AND q.id > p.id AND p.class = 5 ORDER BY p.id, q.id LIMIT 15;
