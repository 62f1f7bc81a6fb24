# Writes the simulated patients of the reference tests as CSV:
#
#   Rscript simulate.R KIND
#
# continuous: three groups in two strata, exponential times of two causes that compete, uniform
#             censoring; no two times are equal.
# tied:       the same law with times rounded up to whole months, so that events of both causes
#             and censorings of all groups fall on the same times.
# paired:     patients who live twice. The second life lacks a cause-1 event with probability 0.4,
#             or has it 20 % later; competing events and censoring are shared.
# predicted:  patients with a predicted hazard of cause 1, of which some are shared and which is too
#             high and too wide; the true one also depends on what no prediction knows.
# predicted-tied: the same law with times rounded up to whole months.
RNGkind("Mersenne-Twister", "Inversion", "Rejection")
kind <- commandArgs(TRUE)[1]

competing <- function(n, seed) {
  set.seed(seed)
  group <- sample(0:2, n, TRUE)
  stratum <- rbinom(n, 1, 0.4)
  own <- rexp(n, 0.02 * exp(-0.5 * (group == 1) - 0.2 * (group == 2) + 0.7 * stratum))
  other <- rexp(n, 0.01 * exp(0.3 * (group == 1)))
  censoring <- runif(n, 5, 120)
  time <- pmin(own, other, censoring)
  status <- ifelse(time == censoring, 0, ifelse(time == own, 1, 2))
  data.frame(time, status, group, stratum)
}

paired <- function(n, seed) {
  set.seed(seed)
  own <- rexp(n, 0.02)
  other <- rexp(n, 0.01)
  censoring <- runif(n, 5, 120)
  second <- ifelse(runif(n) < 0.4, Inf, own * 1.2)
  life <- function(own) {
    time <- pmin(own, other, censoring)
    data.frame(time, status = ifelse(time == censoring, 0, ifelse(time == own, 1, 2)))
  }
  both <- cbind(life(own), life(second))
  names(both) <- c("time", "status", "second_time", "second_status")
  both
}

predicted <- function(n, seed) {
  set.seed(seed)
  known <- ifelse(runif(n) < 0.5, round(rnorm(n)), rnorm(n))
  own <- rexp(n, 0.02 * exp(0.6 * known + 0.4 * rnorm(n)))
  other <- rexp(n, 0.01)
  censoring <- runif(n, 5, 120)
  time <- pmin(own, other, censoring)
  status <- ifelse(time == censoring, 0, ifelse(time == own, 1, 2))
  data.frame(time, status, hazard = sprintf("%.6f", 0.025 * exp(0.9 * known)))
}

data <- switch(kind,
  continuous = competing(240, 20260301),
  tied = within(competing(300, 20260302), time <- ceiling(time)),
  paired = paired(150, 20260303),
  predicted = predicted(220, 20260304),
  `predicted-tied` = within(predicted(260, 20260305), time <- ceiling(time)))
for (column in grep("time", names(data), value = TRUE)) {
  data[[column]] <- sprintf("%.6f", data[[column]])
}
write.csv(data, stdout(), row.names = FALSE, quote = FALSE)
