-- What was billed of a unit for a month is on bills of that month and later ones: the primary key (unit, month, …) finds it.
DROP INDEX bill_line_by_charge;
