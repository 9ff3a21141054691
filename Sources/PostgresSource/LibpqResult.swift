import CLibpq

/// One PGresult, cleared at the end of its life.
@safe
struct LibpqResult: ~Copyable {
  private let pointer: OpaquePointer

  /// Takes over `pointer`, which PQgetResult or PQexec returned.
  @unsafe
  init(owning pointer: OpaquePointer) { unsafe self.pointer = pointer }

  deinit { unsafe PQclear(pointer) }

  var status: ExecStatusType { unsafe PQresultStatus(pointer) }

  var isCopyBoth: Bool { status == PGRES_COPY_BOTH }

  var isError: Bool {
    switch status {
    case PGRES_FATAL_ERROR, PGRES_BAD_RESPONSE, PGRES_EMPTY_QUERY, PGRES_NONFATAL_ERROR: true
    default: false
    }
  }

  /// Every value as PostgreSQL printed it; nil for NULL.
  var rows: [[String?]] {
    let columns = unsafe PQnfields(pointer)
    let count = unsafe PQntuples(pointer)
    var rows: [[String?]] = []
    for row in 0..<count {
      var values: [String?] = []
      for column in 0..<columns { values.append(value(row, column)) }
      rows.append(values)
    }
    return rows
  }

  private func value(_ row: Int32, _ column: Int32) -> String? {
    guard unsafe PQgetisnull(pointer, row, column) == 0 else { return nil }
    return unsafe String(cString: PQgetvalue(pointer, row, column))
  }

  var error: CatalogError { unsafe LibpqNotice(borrowing: pointer).error }
}

/// What an error or notice says, read from a PGresult of somebody else.
@safe
struct LibpqNotice: ~Copyable {
  private let pointer: OpaquePointer

  /// To be used while `pointer` is valid, and no longer.
  @unsafe
  init(borrowing pointer: OpaquePointer) { unsafe self.pointer = pointer }

  /// The error, in one line; what the server did not say is left out, and so are values of rows.
  var error: CatalogError {
    let sqlState = field(.sqlState)
    var parts: [String] = []
    for part in [ErrorField.message, .detail, .hint] {
      // The detail of a data exception or of a violated constraint quotes the value.
      if part == .detail, let sqlState, ["22", "23"].contains(sqlState.prefix(2)) { continue }
      if let text = field(part) { parts.append(text) }
    }
    let fallback = unsafe PQresultErrorMessage(pointer).map { unsafe String(cString: $0) } ?? ""
    let message = oneLine(parts.isEmpty ? fallback : parts.joined(separator: "; "))
    // character_not_in_repertoire and untranslatable_character quote its bytes.
    let quotesBytes = sqlState == "22021" || sqlState == "22P05"
    return CatalogError(sqlState: sqlState, message: quotesBytes ? withoutBytes(message) : message)
  }

  /// `invalid byte sequence for encoding "UTF8": 0xff` without what follows the colon.
  private func withoutBytes(_ message: String) -> String {
    let words = message.split(separator: " ").filter { !$0.hasPrefix("0x") }.joined(separator: " ")
    return words.hasSuffix(":") ? String(words.dropLast()) : words
  }

  /// Whether the server ends the session with it.
  var isFatal: Bool { ["FATAL", "PANIC"].contains(field(.severity)) }

  /// libpq's PG_DIAG codes: ASCII letters.
  private enum ErrorField: UInt8 {
    /// Not translated.
    case severity = 0x56  // V
    case sqlState = 0x43  // C
    case message = 0x4D  // M
    case detail = 0x44  // D
    case hint = 0x48  // H
  }

  private func field(_ field: ErrorField) -> String? {
    unsafe PQresultErrorField(pointer, Int32(field.rawValue)).map { unsafe String(cString: $0) }
  }
}

/// The lines of libpq's message joined into one, without the place in the server's source.
func oneLine(_ message: String) -> String {
  message.split(whereSeparator: \.isNewline)
    .map { $0.drop { $0.isWhitespace } }
    .filter { !$0.hasPrefix("LOCATION:") }
    .joined(separator: "; ")
}
