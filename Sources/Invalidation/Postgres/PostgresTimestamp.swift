/// A `timestamp with time zone`: microseconds since 2000-01-01 00:00 UTC, or infinity, and its text.
///
/// What comes as the time of a commit is not always a time at which something happened: a session with a replication origin
/// says what it likes, from `-infinity` over 4714 BC and the year 294276 to `infinity`. So nobody may subtract it unchecked.
package enum PostgresTimestamp {
  /// As PostgreSQL has them inside, and so in pgoutput.
  package static let minusInfinity = Int64.min
  package static let infinity = Int64.max

  @inline(__always)
  package static func isFinite(_ time: Int64) -> Bool { time != minusInfinity && time != infinity }

  /// How many microseconds after `time` it is `now`, less than none where clocks differ; nil when `time` is infinite.
  @inline(__always)
  static func age(of time: Int64, at now: Int64) -> Int64? {
    guard isFinite(time) else { return nil }
    let (age, overflow) = now.subtractingReportingOverflow(time)
    return overflow ? (time < 0 ? .max : .min) : age
  }

  /// The time of a text as PostgreSQL prints it with DateStyle ISO and TimeZone UTC: `2026-01-31 12:00:00.5+00`,
  /// `4714-11-24 00:00:00+00 BC`, `infinity`; nil when it is no such text, or beyond what PostgreSQL has.
  static func microseconds(_ text: Span<UInt8>) -> Int64? {
    guard text.count >= 22 else { return infinite(text) }
    // Years have four digits at least, and six at most.
    var digits = 4
    while digits < 6, text[digits] != UInt8(ascii: "-") { digits += 1 }
    guard let year = number(text, 0, digits) else { return nil }
    return microseconds(ofYear: year, text.extracting(digits..<text.count))
  }

  private static func infinite(_ text: Span<UInt8>) -> Int64? {
    if text.matches(0..<text.count, "infinity") { return infinity }
    return text.matches(0..<text.count, "-infinity") ? minusInfinity : nil
  }

  /// `text` is what stands behind the year.
  private static func microseconds(ofYear year: Int64, _ text: Span<UInt8>) -> Int64? {
    let isBC = text.matches(text.count - 3..<text.count, " BC")
    let end = text.count - (isBC ? 6 : 3)
    guard end >= 15, text[0] == UInt8(ascii: "-"), let month = number(text, 1, 2),
      text[3] == UInt8(ascii: "-"), let day = number(text, 4, 2), text[6] == UInt8(ascii: " "),
      let hour = number(text, 7, 2), text[9] == UInt8(ascii: ":"), let minute = number(text, 10, 2),
      text[12] == UInt8(ascii: ":"), let second = number(text, 13, 2),
      // PostgreSQL has no other years, and what it has fits.
      (1...(isBC ? 4_714 : 294_276)).contains(year), (1...12).contains(month), (1...31).contains(day),
      hour < 24, minute < 60, second < 61,
      text.matches(end..<end + 3, "+00"), let micros = fraction(text, 15..<end)
    else { return nil }
    let days = daysSince2000(isBC ? 1 - year : year, month, day)
    return ((days * 24 + hour) * 3_600 + minute * 60 + second) * 1_000_000 + micros
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

  /// Of the proleptic Gregorian calendar, with years that begin in March, so that the leap day is the last. 1 BC is year 0.
  private static func daysSince2000(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    // 4,800 years, twelve times the calendar's cycle of 146,097 days, make all of them positive.
    let shifted = (month <= 2 ? year - 1 : year) + 4_800
    let monthFromMarch = (month + 9) % 12
    let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
    let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear
    // The same for 2000-01-01.
    return days - 2_483_589
  }
}
