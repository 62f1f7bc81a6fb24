# Analyses trials as a simulation in R does: a log-rank test and a Cox model for each.
#
#   Rscript trials.R FILE
#
# The file has trial,time,status,group. Prints the processor seconds that the analyses took, and
# chi-square and log hazard ratio of each trial.
library(survival)
patients <- read.csv(commandArgs(trailingOnly = TRUE)[1])
trials <- split(patients, patients$trial)
found <- matrix(0, length(trials), 2)
started <- proc.time()
for (trial in seq_along(trials)) {
  test <- survdiff(Surv(time, status) ~ group, data = trials[[trial]])
  model <- coxph(Surv(time, status) ~ group, data = trials[[trial]])
  found[trial, ] <- c(test$chisq, coef(model))
}
taken <- proc.time() - started
cat(sprintf("%.6f\n", taken[["user.self"]] + taken[["sys.self"]]))
cat(sprintf("%.15g %.15g\n", found[, 1], found[, 2]), sep = "")
