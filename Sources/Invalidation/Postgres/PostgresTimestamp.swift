/// A `timestamp with time zone` as PostgreSQL prints it with DateStyle ISO and TimeZone UTC.
enum PostgresTimestamp {
  /// Microseconds since 2000-01-01 of `2026-01-31 12:00:00.5+00`; nil when it is no such text.
  static func microseconds(_ text: ArraySlice<UInt8>) -> Int64? {
    var rest = text
    func number(_ digits: Int, _ separator: Character?) -> Int64? {
      guard rest.count >= digits else { return nil }
      var value: Int64 = 0
      for _ in 0..<digits {
        guard let byte = rest.popFirst(), (0x30...0x39).contains(byte) else { return nil }
        value = value * 10 + Int64(byte - 0x30)
      }
      if let separator, rest.popFirst() != separator.asciiValue { return nil }
      return value
    }
    guard let year = number(4, "-"), let month = number(2, "-"), let day = number(2, " "),
      let hour = number(2, ":"), let minute = number(2, ":"), let second = number(2, nil),
      (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 61
    else { return nil }
    guard let micros = fraction(&rest), rest.elementsEqual("+00".utf8) else { return nil }
    let seconds = (daysSince2000(year, month, day) * 24 + hour) * 3_600 + minute * 60 + second
    return seconds * 1_000_000 + micros
  }

  private static func fraction(_ rest: inout ArraySlice<UInt8>) -> Int64? {
    guard rest.first == UInt8(ascii: ".") else { return 0 }
    rest.removeFirst()
    var value: Int64 = 0
    var scale: Int64 = 1_000_000
    while let byte = rest.first, (0x30...0x39).contains(byte) {
      guard scale > 1 else { return nil }
      scale /= 10
      value += Int64(byte - 0x30) * scale
      rest.removeFirst()
    }
    return scale == 1_000_000 ? nil : value
  }

  /// Of the proleptic Gregorian calendar, with years that begin in March, so that the leap day is the last.
  private static func daysSince2000(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let monthFromMarch = (month + 9) % 12
    let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear
    // The same for 2000-01-01.
    return days - 730_425
  }
}
