# What R's survival, riskRegression and pec find when predictions meet patients, given as CSV on
# standard input (columns time, status, hazard): JSON on standard output, a list of numbers for every
# name. The prediction is a constant hazard of cause 1 beside one of 0.01 for cause 2.
#
#   Rscript predictions.R < patients.csv
suppressMessages({library(survival); library(riskRegression); library(prodlim); library(pec)})
options(warn = -1)

data <- read.csv(file("stdin"))
found <- list()
put <- function(name, values) found[[name]] <<- as.numeric(values)
competing_hazard <- 0.01
# No time of the data.
horizon <- 50.5
times <- horizon * (1:10) / 10

# Probability of a following time; events come before censoring at the same time.
following <- prodlim(Hist(time, status) ~ 1, data, reverse = TRUE)
before <- function(t) {
  jumps <- following$time
  c(1, following$surv)[findInterval(t, jumps, left.open = TRUE) + 1]
}

# All pairs, one by one. Patients whom competing events took have no event ever.
pairs <- function(d, x, weighted) {
  n <- nrow(d)
  good <- all <- matrix(0, n, n)
  for (i in which(d$status == 1 & d$time <= horizon)) {
    later <- d$time > d$time[i] | (d$time == d$time[i] & d$status != 1)
    gone <- d$status == 2 & d$time <= d$time[i]
    partner <- later | gone
    until <- ifelse(gone, before(d$time), before(d$time[i]))
    w <- if (weighted) partner / (before(d$time[i]) * until) else 1 * partner
    all[i, ] <- w
    good[i, ] <- w * ((x[i] > x) + 0.5 * (x[i] == x))
  }
  value <- sum(good) / sum(all)
  influence <- function(m) rowSums(m) + colSums(m)
  error <- sqrt(sum(((influence(good) - value * influence(all)) / sum(all))^2))
  c(value, error)
}

score <- function(name, d, risk) {
  fit <- Score(list(model = risk), Hist(time, status) ~ 1, data = d, times = times,
    metrics = "brier", cens.model = "km", cause = 1, conf.int = FALSE)$Brier$score
  brier <- function(model) fit$Brier[fit$model == model]
  average <- function(values) {
    values <- c(0, values)
    sum((values[-1] + values[-length(values)]) / 2 * diff(c(0, times))) / horizon
  }
  put(paste0(name, ".brier"), brier("model"))
  put(paste0(name, ".brier.null"), brier("Null model"))
  put(paste0(name, ".brier.integrated"), average(brier("model")))
  put(paste0(name, ".brier.integrated.null"), average(brier("Null model")))
}

# One cause; the other is censoring.
alone <- within(data, status <- 1 * (status == 1))
# Also with risks in few classes.
for (kind in c("hazard", "class")) {
  x <- if (kind == "class") round(log(alone$hazard)) else alone$hazard
  for (weights in c("n", "n/G2")) {
    fit <- concordance(Surv(time, status) ~ x, alone, reverse = TRUE, timewt = weights, ymax = horizon)
    count <- fit$count
    tied <- count["tied.x"] / sum(count[c("concordant", "discordant", "tied.x")])
    name <- paste0("alone.", kind, if (weights == "n") ".harrell" else ".uno")
    put(name, c(coef(fit), sqrt(vcov(fit)), tied))
  }
}
score("alone", alone, 1 - exp(-outer(alone$hazard, times)))

# Two that compete.
never <- within(data, {
  time <- ifelse(status == 2, max(time) + 1, time)
  status <- 1 * (status == 1)
})
fit <- concordance(Surv(time, status) ~ hazard, never, reverse = TRUE, ymax = horizon)
put("competing.harrell", c(coef(fit), sqrt(vcov(fit))))
put("competing.uno", pairs(data, data$hazard, TRUE))
both <- data$hazard + competing_hazard
risk <- data$hazard / both * (1 - exp(-outer(both, times)))
if (!anyDuplicated(data$time)) {
  wolbers <- suppressMessages(cindex(list(risk[, length(times), drop = FALSE]),
    Hist(time, status) ~ 1, data, eval.times = horizon, cause = 1, cens.model = "marginal"))
  put("competing.uno.pec", wolbers$AppCindex[[1]])
}
score("competing", data, risk)

# Poisson regression of what was seen until the horizon; the offset makes the slope 1 if right.
seen <- with(data, data.frame(
  event = time <= horizon & status == 1,
  expected = hazard * pmin(time, horizon),
  x = log(hazard * horizon) - mean(log(hazard * horizon))))
control <- glm.control(epsilon = 1e-14, maxit = 100)
large <- glm(event ~ offset(log(expected)), poisson, seen, control = control)
limits <- coef(large) + c(-1, 1) * qnorm(0.975) * sqrt(vcov(large)[1, 1])
put("calibration.ratio", c(sum(seen$event), sum(seen$expected), exp(coef(large)), exp(limits)))
fit <- glm(event ~ x + offset(log(expected) - x), poisson, seen, control = control)
put("calibration.intercept", c(coef(fit)[1], sqrt(vcov(fit)[1, 1])))
put("calibration.slope", c(coef(fit)[2], sqrt(vcov(fit)[2, 2])))

number <- function(x) ifelse(is.finite(x), sprintf("%.17g", x), "null")
line <- function(name) sprintf("  \"%s\": [%s]", name, paste(number(found[[name]]), collapse = ", "))
cat("{\n", paste(sapply(names(found), line), collapse = ",\n"), "\n}\n", sep = "")
