/// A position in PostgreSQL's write-ahead log: a byte offset, printed as two hexadecimal halves, `0/16B3748`.
///
/// Source: PostgreSQL manual, chapter 8.20 "pg_lsn Type".
package struct LSN: Hashable, Comparable, Sendable, CustomStringConvertible {
  package var rawValue: UInt64

  package init(_ rawValue: UInt64) { self.rawValue = rawValue }

  /// The position before any WAL; PostgreSQL's "invalid" LSN.
  package static let zero = LSN(0)

  /// Reads the text form `X/Y`, two hexadecimal numbers of one to eight digits; nil for anything else.
  package init?(_ text: some StringProtocol) { self.init(Array(text.utf8).span) }

  /// Likewise.
  init?(_ text: Span<UInt8>) {
    var halves: (high: UInt64, low: UInt64) = (0, 0)
    var digits = 0
    var isLow = false
    for index in text.indices {
      if text[index] == UInt8(ascii: "/"), !isLow, digits > 0 {
        (halves.high, isLow, digits) = (halves.low, true, 0)
        halves.low = 0
        continue
      }
      guard let digit = text[index].hexadecimalDigit, digits < 8 else { return nil }
      halves.low = halves.low << 4 | UInt64(digit)
      digits += 1
    }
    guard isLow, digits > 0 else { return nil }
    self.rawValue = halves.high << 32 | halves.low
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
  /// What the byte stands for as an ASCII hexadecimal digit of either case; nil when it is none.
  var hexadecimalDigit: UInt8? {
    switch self {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
