import FoundationEssentials

/// Times, numbers and sizes for people.
extension StatusText {
  /// `2026-11-25 07:26:03 UTC`.
  static func time(_ date: Date) -> String {
    let text = date.formatted(Date.ISO8601FormatStyle())
    return text.replacing("T", with: " ").replacing("Z", with: " UTC")
  }

  /// The two largest units: `2 d 3 h`, `3 min 5 s`, `0.3 s`.
  static func duration(_ seconds: Double) -> String {
    guard seconds >= 10 else { return decimal(max(0, seconds)) + " s" }
    let whole = Int(seconds)
    let parts = [
      (whole / 86_400, "d"), (whole / 3_600 % 24, "h"), (whole / 60 % 60, "min"), (whole % 60, "s"),
    ].drop { $0.0 == 0 }.prefix(2)
    return parts.map { "\($0.0) \($0.1)" }.joined(separator: " ")
  }

  /// `17 B`, `1.5 KiB`.
  static func bytes(_ count: UInt64) -> String {
    guard count >= 1_024 else { return "\(count) B" }
    var value = Double(count)
    var unit = ""
    for name in ["KiB", "MiB", "GiB", "TiB"] where value >= 1_024 {
      value /= 1_024
      unit = name
    }
    return decimal(value) + " " + unit
  }

  /// With one digit behind the point.
  static func decimal(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return grouped(UInt64(tenths / 10)) + ".\(tenths % 10)"
  }

  /// `12,345`.
  static func grouped(_ number: UInt64) -> String {
    var groups: [String] = []
    var rest = number
    while rest >= 1_000 {
      groups.insert(String(String(rest % 1_000 + 1_000).dropFirst()), at: 0)
      rest /= 1_000
    }
    return ([String(rest)] + groups).joined(separator: ",")
  }

  static func count(_ number: UInt64, _ noun: String, plural: String? = nil) -> String {
    "\(grouped(number)) \(number == 1 ? noun : plural ?? noun + "s")"
  }
}
