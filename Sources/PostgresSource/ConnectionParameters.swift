import CLibpq
import Invalidation

/// A libpq connection string, taken apart, so that cdcd can add what it needs and hide what is secret.
///
/// Source: PostgreSQL manual, chapter 34.1.1 "Connection Strings".
struct ConnectionParameters {
  private(set) var values: [(keyword: String, value: String)] = []

  /// `text` is a URI or keyword string. The failure never repeats any of it, since it may hold a password.
  init(_ text: String) throws(SourceFailure) {
    var message: UnsafeMutablePointer<CChar>?
    guard let options = unsafe PQconninfoParse(text, &message) else {
      unsafe PQfreemem(message)
      throw SourceFailure(
        .misconfigured,
        "source.postgres is not a connection string of PostgreSQL: write postgresql://user@host:5432/database"
          + " (with special characters percent-encoded) or host=... user=... dbname=...")
    }
    defer { unsafe PQconninfoFree(options) }
    var option = unsafe options
    while let keyword = unsafe option.pointee.keyword {
      if let value = unsafe option.pointee.val {
        unsafe values.append((String(cString: keyword), String(cString: value)))
      }
      unsafe option += 1
    }
    // The rest of a password with a bare @ in it would be taken for the host, and be shown.
    guard self["host"]?.contains("@") != true else {
      throw SourceFailure(
        .misconfigured, "source.postgres has more than one @: write those of the password as %40")
    }
  }

  subscript(keyword: String) -> String? { values.first { $0.keyword == keyword }?.value }

  /// Overrides whatever the string said.
  mutating func set(_ keyword: String, _ value: String) {
    values.removeAll { $0.keyword == keyword }
    values.append((keyword, value))
  }

  /// For keywords the string leaves open.
  mutating func setDefault(_ keyword: String, _ value: String) {
    if self[keyword] == nil { values.append((keyword, value)) }
  }

  /// The same for each host on its own, in the order in which they are to be tried. Where there are several, only a
  /// primary is wanted, unless `target_session_attrs` says otherwise.
  var hosts: [ConnectionParameters] {
    let keywords = ["host", "hostaddr", "port"]
    let lists = keywords.map { keyword in
      self[keyword]?.split(separator: ",", omittingEmptySubsequences: false).map(String.init) ?? []
    }
    let count = max(lists[0].count, lists[1].count)
    // Lists that do not fit each other are libpq's to refuse.
    guard count > 1, lists.allSatisfy({ [0, 1, count].contains($0.count) }),
      lists[0].count != 1, lists[1].count != 1
    else { return [self] }
    return (0..<count).map { number in
      var host = self
      for (keyword, list) in zip(keywords, lists) where list.count == count {
        host.set(keyword, list[number])
      }
      host.setDefault("target_session_attrs", "primary")
      return host
    }
  }

  /// How long connecting may take, in nanoseconds; `connect_timeout` is not libpq's to keep where nobody waits in it.
  var connectTime: Int64 {
    guard let seconds = self["connect_timeout"].flatMap({ Int64($0) }), seconds > 0 else { return answerTime }
    return min(max(seconds, 2) * 1_000_000_000, answerTime)
  }

  /// What every connection of cdcd has.
  mutating func setCommon() {
    set("client_encoding", "UTF8")
    setDefault("fallback_application_name", "cdcd")
    // A path that dies in silence is noticed within half a minute, also while a slot is being made.
    setDefault("keepalives_idle", "10")
    setDefault("keepalives_interval", "5")
    setDefault("keepalives_count", "3")
  }

  /// Adds server settings behind the user's own, so that these win.
  mutating func addSettings(_ settings: [(name: String, value: String)]) {
    var words: [String] = []
    if let own = self["options"], !own.isEmpty { words.append(own) }
    for setting in settings { words.append("-c " + setting.name + "=" + setting.value) }
    set("options", words.joined(separator: " "))
  }

  /// `text` without the passwords of this connection string.
  func redacted(_ text: String) -> String {
    var text = text
    for secret in [self["password"], self["sslpassword"]] {
      guard let secret, !secret.isEmpty else { continue }
      text = text.split(separator: secret, omittingEmptySubsequences: false).joined(separator: "***")
    }
    return text
  }

  /// Calls `body` with the two NULL-terminated arrays that PQconnectStartParams takes.
  func withCArrays<Answer>(
    _ body: (UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<UnsafePointer<CChar>?>) -> Answer
  ) -> Answer {
    let keywords = CStrings(values.map(\.keyword))
    let texts = CStrings(values.map(\.value))
    return unsafe body(keywords.pointers, texts.pointers)
  }
}

/// A NULL-terminated array of C strings, or of NULLs, that lives as long as its owner.
@safe
struct CStrings: ~Copyable {
  private let storage: UnsafeMutableBufferPointer<UnsafePointer<CChar>?>

  init(_ texts: [String?]) {
    unsafe storage = .allocate(capacity: texts.count + 1)
    unsafe storage.initialize(repeating: nil)
    for (index, text) in texts.enumerated() {
      guard let text else { continue }
      let utf8 = text.utf8CString
      let copy = UnsafeMutableBufferPointer<CChar>.allocate(capacity: utf8.count)
      _ = unsafe copy.initialize(from: utf8)
      unsafe storage[index] = UnsafePointer(copy.baseAddress)
    }
  }

  /// Valid while the owner lives.
  var pointers: UnsafePointer<UnsafePointer<CChar>?> {
    // An allocation of at least one element has an address.
    unsafe UnsafePointer(storage.baseAddress.unsafelyUnwrapped)
  }

  deinit {
    for index in unsafe storage.indices { unsafe storage[index]?.deallocate() }
    unsafe storage.deallocate()
  }
}
