# Mean, standard error and both parts of the variance of every statistic of scores, by window, over all cells and in each, from
# the columns of an export of reports alone. Base R; devices were drawn.
#
#   Rscript means.R export/reports

files <- list.files(commandArgs(TRUE)[1], pattern = "[.]csv$", recursive = TRUE, full.names = TRUE)
words <- c("sequence", "answer", "answer_code") # numbers of 64 bits, which no double holds
kept <- setNames(rep("character", length(words)), words)
rows <- do.call(rbind, lapply(files, read.csv, colClasses = kept))
rows <- rows[!is.na(rows$score), ]

# The rows outside the cell keep their place in the design; the finite population correction never shrinks the noise.
estimate <- function(s, inside) {
  size <- sum(s$weight[inside])
  mean <- sum((s$weight * s$score)[inside]) / size
  a <- ifelse(inside, s$weight / size, 0)
  u <- a * (s$score - mean)
  noise <- a^2 * s$noise_variance
  parts <- sapply(split(seq_len(nrow(s)), s$stratum), function(i) {
    m <- length(i)
    f <- m / s$stratum_population[i[1]]
    (if (m > 1) (1 - f) * m * var(u[i]) else 0) + f * sum(noise[i])
  })
  privacy <- sum(noise)
  sampling <- max(0, sum(parts) - privacy)
  data.frame(value = mean, std_error = sqrt(sum(parts)), variance_sampling = sampling, variance_privacy = sum(parts) - sampling)
}

told <- list()
for (s in split(rows, list(rows$window_start, rows$statistic), drop = TRUE)) {
  for (cell in c("{}", unique(s$cell))) {
    inside <- if (cell == "{}") rep(TRUE, nrow(s)) else s$cell == cell
    told[[length(told) + 1]] <- cbind(window_start = s$window_start[1], statistic = s$statistic[1], cell = cell, estimate(s, inside))
  }
}
write.csv(format(do.call(rbind, told), digits = 15), row.names = FALSE)
