# What R's survival and cmprsk find in patients given as CSV on standard input (columns time,
# status, group, stratum; or time, status, second_time, second_status): JSON on standard output,
# a list of numbers for every name. Regressions compare groups 1 and 0.
#
#   Rscript reference.R < patients.csv
suppressMessages({library(survival); library(cmprsk)})
options(warn = -1)

data <- read.csv(file("stdin"))
found <- list()
put <- function(name, values) found[[name]] <<- as.numeric(values)

# Curves are read at six times of the data.
grid <- as.numeric(quantile(data$time, c(0.1, 0.25, 0.4, 0.55, 0.7, 0.85), type = 1))
horizon <- grid[5]
put("grid", grid)

causes <- if (any(data$status == 2)) 1:2 else 1
as_states <- function(status) factor(status, 0:2, c("censored", "one", "two"))
any_cause <- function(status) as.integer(status > 0)

one_group <- function(d, name) {
  km <- survfit(Surv(time, any_cause(status)) ~ 1, d, conf.type = "log-log")
  at <- summary(km, times = grid, extend = TRUE)
  put(paste0(name, ".survival"), at$surv)
  put(paste0(name, ".survival.error"), at$std.err)
  # Without an event yet there is no interval on this scale; R says 1.
  inside <- ifelse(at$surv > 0 & at$surv < 1, 1, NA)
  put(paste0(name, ".survival.lower"), at$lower * inside)
  put(paste0(name, ".survival.upper"), at$upper * inside)
  table <- summary(km, rmean = horizon)$table
  put(paste0(name, ".median"), table[c("median", "0.95LCL", "0.95UCL")])
  put(paste0(name, ".mean"), table[c("rmean", "se(rmean)")])

  # The third state may be empty; then it has no column.
  aj <- survfit(Surv(time, as_states(status)) ~ 1, d, influence = TRUE)
  at <- summary(aj, times = grid, extend = TRUE)
  lost <- summary(aj, rmean = horizon)$table
  for (cause in causes) {
    cause_name <- paste0(name, ".cause", cause)
    state <- match(c("one", "two")[cause], aj$states)
    put(paste0(cause_name, ".incidence"), at$pstate[, state])
    put(paste0(cause_name, ".incidence.error"), at$std.err[, state])
    put(paste0(cause_name, ".lost"), lost[state, c("rmean", "se(rmean)")])
  }
  gray <- cuminc(d$time, d$status)
  put(paste0(name, ".cuminc"), timepoints(gray, grid)$est[1, ])

  # Events over person-time between the grid's first, third and fifth times.
  edges <- grid[c(1, 3, 5)]
  for (i in 1:2) {
    span <- pmax(pmin(d$time, edges[i + 1]) - edges[i], 0)
    events <- sum(d$status == 1 & d$time > edges[i] & d$time <= edges[i + 1])
    put(paste0(name, ".hazard", i), c(events, sum(span), events / sum(span)))
  }

  # Nelson and Aalen's increments under the kernels of Epanechnikov and, near 0, Mueller and Wang.
  na <- survfit(Surv(time, status == 1) ~ 1, d)
  jump <- na$n.event / na$n.risk
  bandwidth <- horizon / 3
  smooth <- sapply(c(0, 0.5, 1.5) * bandwidth, function(t) {
    q <- min(t / bandwidth, 1)
    x <- (t - na$time) / bandwidth
    k <- 12 / (1 + q)^4 * (x + 1) * (x * (1 - 2 * q) + (3 * q^2 - 2 * q + 1) / 2)
    k[x < -1 | x > q] <- 0
    c(max(sum(k * jump) / bandwidth, 0), sqrt(sum(k^2 * jump / na$n.risk)) / bandwidth)
  })
  put(paste0(name, ".smooth"), smooth)
}

groups <- function() {
  for (g in sort(unique(data$group))) one_group(data[data$group == g, ], paste0("group", g))

  surv <- with(data, Surv(time, any_cause(status)))
  test <- function(name, fit) {
    put(name, c(fit$chisq, length(fit$n) - 1))
    observed <- if (is.matrix(fit$obs)) rowSums(fit$obs) else fit$obs
    expected <- if (is.matrix(fit$exp)) rowSums(fit$exp) else fit$exp
    put(paste0(name, ".scores"), observed - expected)
    put(paste0(name, ".covariance"), t(fit$var))
  }
  test("logrank", survdiff(surv ~ group, data))
  test("logrank.stratified", survdiff(surv ~ group + strata(stratum), data))
  test("logrank.rho1", survdiff(surv ~ group, data, rho = 1))
  for (cause in causes) {
    name <- paste0("gray.cause", cause)
    own <- function(tests) tests$Tests[as.character(cause), c("stat", "df", "pv")]
    put(name, own(with(data, cuminc(time, status, group))))
    put(paste0(name, ".stratified"), own(with(data, cuminc(time, status, group, stratum))))
    put(paste0(name, ".rho1"), own(with(data, cuminc(time, status, group, rho = 1))))
  }

  two <- data[data$group < 2, ]
  two$any <- any_cause(two$status)
  control <- coxph.control(eps = 1e-14, iter.max = 50)
  for (ties in c("efron", "breslow")) {
    for (stratified in c(FALSE, TRUE)) {
      formula <- if (stratified) Surv(time, any) ~ group + strata(stratum)
        else Surv(time, any) ~ group
      fit <- coxph(formula, two, ties = ties, control = control)
      name <- paste0("cox.", ties, if (stratified) ".stratified")
      put(name, c(coef(fit), sqrt(vcov(fit)), fit$score))
      put(paste0(name, ".interval"), summary(fit)$conf.int[c(1, 3, 4)])
    }
  }
  for (cause in causes) {
    # crr stops where rounding hides that the likelihood still rises; two Newton steps more make
    # the score nothing.
    fit <- crr(two$time, two$status, two$group, failcode = cause)
    for (step in 1:2) {
      init <- fit$coef + fit$score / fit$inf
      fit <- crr(two$time, two$status, two$group, failcode = cause, init = init, maxiter = 0)
    }
    stopifnot(abs(fit$score) < 1e-11 * fit$inf)
    put(paste0("fine_gray.cause", cause), c(fit$coef, sqrt(fit$var)))
  }
}

# Differences between a patient's two lives: infinitesimal jackknife over the patients.
pairs <- function() {
  fit <- function(time, status) survfit(Surv(time, as_states(status)) ~ 1, influence = TRUE)
  fits <- with(data, list(fit(time, status), fit(second_time, second_status)))
  last <- function(fit, t) max(which(fit$time <= t))
  difference <- function(value, influence) {
    both <- lapply(fits, influence)
    c(value(fits[[2]]) - value(fits[[1]]), sqrt(sum((both[[2]] - both[[1]])^2)))
  }
  # Patients by times by states; the first slice is the start.
  influence <- function(fit) if (is.list(fit$influence)) fit$influence[[1]] else fit$influence.pstate
  at <- function(fit, t, state) influence(fit)[, last(fit, t) + offset(fit), state]
  offset <- function(fit) dim(influence(fit))[2] - length(fit$time)
  area <- function(fit, state, values) {
    times <- fit$time[fit$time < horizon]
    widths <- diff(c(times, horizon))
    values(fit, length(times), state) %*% widths
  }
  for (state in 1:3) {
    put(paste0("difference.state", state), difference(
      function(fit) fit$pstate[last(fit, grid[4]), state],
      function(fit) at(fit, grid[4], state)))
    put(paste0("difference.area", state), difference(
      function(fit) area(fit, state, function(fit, n, s) t(fit$pstate[1:n, s])) +
        (state == 1) * min(fit$time),
      function(fit) area(fit, state,
        function(fit, n, s) influence(fit)[, 1:n + offset(fit), s])))
  }
}

# Regression on the life, with patients as clusters: the robust score test of Breslow's model at no
# effect is the log-rank test's. Times as they are and rounded up to whole months.
clusters <- function() {
  n <- nrow(data)
  both <- with(data, data.frame(id = rep(1:n, 2), life = rep(0:1, each = n),
    time = c(time, second_time), event = c(status, second_status) == 1))
  for (tied in c(FALSE, TRUE)) {
    d <- if (tied) within(both, time <- ceiling(time)) else both
    suffix <- if (tied) ".tied" else ""
    null <- coxph(Surv(time, event) ~ life, d, cluster = id, ties = "breslow", init = 0,
      control = coxph.control(iter.max = 0))
    put(paste0("paired.logrank", suffix), null$rscore)
    fit <- coxph(Surv(time, event) ~ life, d, cluster = id, ties = "efron",
      control = coxph.control(eps = 1e-14, iter.max = 50))
    put(paste0("paired.cox", suffix), c(coef(fit), sqrt(vcov(fit))))
  }
}

distributions <- function() {
  p <- c(1e-12, 1e-5, 0.005, 0.025, 0.2, 0.5, 0.9, 0.999)
  put("normal_upper_quantile", qnorm(p, lower.tail = FALSE))
  put("normal_tail", pnorm(c(-3, -1, 0, 0.5, 2, 5, 10), lower.tail = FALSE))
  x <- c(0, 0.1, 1, 5, 20, 100)
  for (df in c(1:5, 10)) put(paste0("chi_squared_tail", df), pchisq(x, df, lower.tail = FALSE))
  put("holm", p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.6, 0.03), "holm"))
  for (part in c(0, 3, 17, 40)) put(paste0("share", part), prop.test(part, 40, correct = FALSE)$conf.int)
}

if ("second_time" %in% names(data)) { pairs(); clusters(); distributions() } else groups()
number <- function(x) ifelse(is.finite(x), sprintf("%.17g", x), "null")
line <- function(name) sprintf("  \"%s\": [%s]", name, paste(number(found[[name]]), collapse = ", "))
cat("{\n", paste(sapply(names(found), line), collapse = ",\n"), "\n}\n", sep = "")
