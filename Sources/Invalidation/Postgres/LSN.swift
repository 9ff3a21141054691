/// A position in PostgreSQL's write-ahead log: a byte offset, printed as two hexadecimal halves, `0/16B3748`.
///
/// Source: PostgreSQL manual, chapter 8.20 "pg_lsn Type".
package struct LSN: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var rawValue: UInt64

  package init(_ rawValue: UInt64) { self.rawValue = rawValue }

  /// The position before any WAL; PostgreSQL's "invalid" LSN.
  package static let zero = LSN(0)

  /// Reads the text form `X/Y`, two hexadecimal numbers of one to eight digits; nil for anything else.
  package init?(_ text: some StringProtocol) {
    let halves = text.split(separator: "/", omittingEmptySubsequences: false)
    guard halves.count == 2,
      halves.allSatisfy({ (1...8).contains($0.utf8.count) && $0.utf8.allSatisfy(\.isHexDigit) }),
      let high = UInt64(halves[0], radix: 16),
      let low = UInt64(halves[1], radix: 16)
    else { return nil }
    self.rawValue = high << 32 | low
  }

  package var description: String {
    let high = String(rawValue >> 32, radix: 16, uppercase: true)
    let low = String(rawValue & 0xFFFF_FFFF, radix: 16, uppercase: true)
    return high + "/" + low
  }

  /// The same position without the header of a page that no record has reached yet: `pg_current_wal_insert_lsn()`
  /// counts the 24 bytes of the header as soon as the page before is full, and every commit ends before them.
  ///
  /// Source: PostgreSQL's xlog_internal.h, SizeOfXLogShortPHD; XLOG_BLCKSZ is 8 KiB.
  package var beforePageHeader: LSN {
    let offset = rawValue % 8_192
    return offset <= 24 ? LSN(rawValue - offset) : self
  }

  package static func < (left: LSN, right: LSN) -> Bool { left.rawValue < right.rawValue }
}

extension UInt8 {
  /// Whether the byte is an ASCII hexadecimal digit of either case.
  fileprivate var isHexDigit: Bool {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"),
      UInt8(ascii: "a")...UInt8(ascii: "f"),
      UInt8(ascii: "A")...UInt8(ascii: "F"):
      true
    default: false
    }
  }
}
