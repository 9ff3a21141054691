/// A `timestamp with time zone` as PostgreSQL prints it with DateStyle ISO and TimeZone UTC.
enum PostgresTimestamp {
  /// Microseconds since 2000-01-01 of `2026-01-31 12:00:00.5+00`; nil when it is no such text.
  static func microseconds(_ text: Span<UInt8>) -> Int64? {
    guard text.count >= 22, let year = number(text, 0, 4), text[4] == UInt8(ascii: "-"),
      let month = number(text, 5, 2), text[7] == UInt8(ascii: "-"), let day = number(text, 8, 2),
      text[10] == UInt8(ascii: " "), let hour = number(text, 11, 2), text[13] == UInt8(ascii: ":"),
      let minute = number(text, 14, 2), text[16] == UInt8(ascii: ":"), let second = number(text, 17, 2),
      (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 61
    else { return nil }
    let end = text.count - 3
    guard text.matches(end..<text.count, "+00"), let micros = fraction(text, 19..<end) else { return nil }
    let seconds = (daysSince2000(year, month, day) * 24 + hour) * 3_600 + minute * 60 + second
    return seconds * 1_000_000 + micros
  }

  @inline(__always)
  private static func number(_ text: Span<UInt8>, _ start: Int, _ count: Int) -> Int64? {
    var value: Int64 = 0
    for index in start..<start + count {
      guard (0x30...0x39).contains(text[index]) else { return nil }
      value = value * 10 + Int64(text[index] - 0x30)
    }
    return value
  }

  /// Millionths of a second of nothing or of `.5`.
  private static func fraction(_ text: Span<UInt8>, _ range: Range<Int>) -> Int64? {
    if range.isEmpty { return 0 }
    guard text[range.lowerBound] == UInt8(ascii: "."), 2...7 ~= range.count else { return nil }
    guard var value = number(text, range.lowerBound + 1, range.count - 1) else { return nil }
    for _ in range.count..<7 { value *= 10 }
    return value
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
