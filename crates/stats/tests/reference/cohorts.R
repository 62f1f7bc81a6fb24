# Prints the patients of a public cohort that comes with R's survival package as CSV, in the form
# of the simulated ones:
#
#   Rscript cohorts.R NAME
#
# Times are days. status is 0 for censoring, 1 for the event, 2 for what competes with it.
suppressMessages(library(survival))
name <- commandArgs(TRUE)[1]

# The first of a recurrence (1) and a death without one (2).
first_of <- function(recurrence_time, recurred, death_time, died) {
  recurred <- recurred == 1 & recurrence_time <= death_time
  data.frame(
    time = ifelse(recurred, recurrence_time, death_time),
    status = ifelse(recurred, 1, 2 * died))
}

cohort <- function(name) switch(name,
  colon = {
    recurrence <- colon[colon$etype == 1, ]
    death <- colon[colon$etype == 2, ]
    death <- death[match(recurrence$id, death$id), ]
    cbind(first_of(recurrence$time, recurrence$status, death$time, death$status),
      group = as.integer(recurrence$rx) - 1, stratum = recurrence$node4)
  },
  lung = with(lung, data.frame(time, status = status - 1, group = sex - 1,
    stratum = as.integer(age >= 65))),
  ovarian = with(ovarian, data.frame(time = futime, status = fustat, group = rx - 1,
    stratum = resid.ds - 1)),
  pbc = with(subset(pbc, !is.na(trt)), data.frame(time, status = (3 - status) %% 3,
    group = trt - 1, stratum = as.integer(sex == "f"))),
  rotterdam = with(rotterdam, cbind(first_of(rtime, recur, dtime, death),
    group = hormon, stratum = as.integer(size) - 1)),
  veteran = with(veteran, data.frame(time, status, group = trt - 1,
    stratum = as.integer(celltype) - 1)))

write.csv(cohort(name), stdout(), row.names = FALSE, quote = FALSE)
