-- repair_marks: marks of jobs that have gone, or ended or started without the knowledge of this version.
-- include: repairs, marks
repairs[#repairs + 1] = {
  name = 'unique',
  size = function() return marks.count() end,
  page = function(cursor, budget)
    local page = marks.page(cursor, budget)
    return page[1], marks.free_stale(page[2])
  end,
}
