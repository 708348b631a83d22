-- repairs: the structures that point at jobs, for `repair`. Each has a row: `name`; `size()`, how many members it has; and
-- `page(cursor, budget)`, which looks at so many of them, from '0' on or from where the page before ended, puts right what does not fit the
-- records, and returns where the next page begins ('0': at the end) and how many it has put right.
local repairs = {}
