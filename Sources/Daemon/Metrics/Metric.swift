/// One line of the exposition: labels and a value.
struct MetricSample {
  enum Value {
    case integer(UInt64)
    case real(Double)
  }

  var labels: [(name: String, value: String)] = []
  var value: Value
}

/// What a metric family holds at one moment.
enum MetricValues {
  case samples([MetricSample])
  case histogram(MetricHistogram)
}

/// A histogram in seconds, with cumulative counts.
struct MetricHistogram {
  var buckets: [(upperBound: Double, cumulativeCount: UInt64)]
  var count: UInt64
  var sum: Double
}

/// The descriptor of one metric family: its name, what it means and where its values come from.
///
/// Source: Prometheus documentation, "Metric and label naming" and "Metric types".
struct Metric: Sendable {
  enum Kind: String {
    case counter, gauge, histogram
  }

  let name: String
  let kind: Kind
  let help: String
  let values: @Sendable (MetricsInput) -> MetricValues

  /// A count that only grows while the daemon runs.
  static func counter(
    _ name: String, _ help: String, _ value: @escaping @Sendable (MetricsInput) -> UInt64
  ) -> Metric {
    Metric(name: name, kind: .counter, help: help) { .samples([MetricSample(value: .integer(value($0)))]) }
  }

  /// A family of counts, one for each combination of labels.
  static func counters(
    _ name: String, _ help: String, _ samples: @escaping @Sendable (MetricsInput) -> [MetricSample]
  ) -> Metric {
    Metric(name: name, kind: .counter, help: help) { .samples(samples($0)) }
  }

  /// A value that goes up and down; nil leaves it out, where there is nothing to tell yet.
  static func gauge(
    _ name: String, _ help: String, _ value: @escaping @Sendable (MetricsInput) -> MetricSample.Value?
  ) -> Metric {
    Metric(name: name, kind: .gauge, help: help) {
      .samples(value($0).map { [MetricSample(value: $0)] } ?? [])
    }
  }

  /// A family of gauges, one for each combination of labels.
  static func gauges(
    _ name: String, _ help: String, _ samples: @escaping @Sendable (MetricsInput) -> [MetricSample]
  ) -> Metric {
    Metric(name: name, kind: .gauge, help: help) { .samples(samples($0)) }
  }

  /// A histogram of seconds.
  static func histogram(
    _ name: String, _ help: String, _ value: @escaping @Sendable (MetricsInput) -> MetricHistogram
  ) -> Metric {
    Metric(name: name, kind: .histogram, help: help) { .histogram(value($0)) }
  }
}

extension MetricSample.Value {
  /// 1 for true, 0 for false.
  static func flag(_ isSet: Bool) -> MetricSample.Value { .integer(isSet ? 1 : 0) }
}
