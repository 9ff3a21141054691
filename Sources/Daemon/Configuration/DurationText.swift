extension Duration {
  /// Reads a whole number and its unit: `500ms`, `60s`, `5m`, `1h`; at most ten years. Nil for anything else.
  package init?(text: String) {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let count = Int64(digits), let unit = Duration.milliseconds(in: text.dropFirst(digits.count)) else {
      return nil
    }
    let (milliseconds, overflow) = count.multipliedReportingOverflow(by: unit)
    guard !overflow, milliseconds <= 10 * 366 * 86_400_000 else { return nil }
    self = .milliseconds(milliseconds)
  }

  private static func milliseconds(in unit: Substring) -> Int64? {
    switch unit {
    case "ms": 1
    case "s": 1_000
    case "m": 60_000
    case "h": 3_600_000
    default: nil
    }
  }
}
