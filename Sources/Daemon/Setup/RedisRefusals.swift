import Invalidation

/// What Redis refused to do for cdcd's user, gathered: one finding for all commands, one for all keys.
struct RedisRefusals {
  /// Of the ACL.
  let user: String
  private var commands: [String] = []
  private var patterns: [String] = []
  private var unknown: [String] = []
  /// A refused write, by its error's code; each once.
  private var writes: [(code: String, text: String)] = []

  init(user: String) { self.user = user }

  var isEmpty: Bool { findings.isEmpty }

  /// Notes an error reply to a command; `pattern` covers the keys that it named.
  mutating func add(_ command: String, pattern: String?, error: [UInt8]) {
    var text = Substring(decoding: error, as: UTF8.self)
    // A refused EXEC wraps the reason.
    if let reason = text.firstRange(of: "EXECABORT Transaction discarded because of: ") {
      text = text[reason.upperBound...]
    }
    let code = text.prefix { $0 != " " }
    if code == "NOPERM" {
      // An ACL's words for a command: "no permissions to run the 'eval' command"; for a key: "to access".
      if text.contains(" to run ") {
        insert(command, into: &commands)
      } else if let pattern {
        insert(pattern, into: &patterns)
      }
    } else if text.hasPrefix("ERR unknown command") {
      insert(command, into: &unknown)
    } else if !writes.contains(where: { $0.code == code }) {
      writes.append((String(code), String(text)))
    }
  }

  private func insert(_ name: String, into names: inout [String]) {
    if !names.contains(name) { names.append(name) }
  }

  /// In the order in which they are to be mended.
  var findings: [Finding] {
    var findings: [Finding] = []
    let names = unknown.map { $0.uppercased() }.joined(separator: ", ")
    if !unknown.isEmpty {
      findings.append(
        Finding(
          "Redis does not know \(names), without which cdcd cannot write a batch.",
          remedy: "Take rename-command for it out of redis.conf, and restart Redis."))
    }
    if !commands.isEmpty {
      findings.append(
        Finding(
          "The Redis user \(user) may not run \(commands.map { $0.uppercased() }.joined(separator: ", ")): no key would be"
            + " deleted.", remedy: grant(commands.map { "+" + $0 })))
    }
    if !patterns.isEmpty {
      findings.append(
        Finding(
          "The Redis user \(user) may not touch keys such as \(patterns.joined(separator: ", ")): a batch with one of them"
            + " is refused as a whole, and everything waits for it.",
          remedy: grant(patterns.map { "~" + $0 })))
    }
    return findings
      + writes.map { Finding("Redis refuses to write: \($0.text)", remedy: Self.remedy($0.code)) }
  }

  private func grant(_ rules: [String]) -> String {
    "ACL SETUSER \(user) \(rules.joined(separator: " ")), then ACL SAVE or CONFIG REWRITE"
  }

  private static func remedy(_ code: String) -> String {
    switch code {
    case "OOM":
      "CONFIG SET maxmemory ... to more, or CONFIG SET maxmemory-policy volatile-lru; cdcd retries until then."
    case "MISCONF": "Mend what keeps Redis from its disk (its log tells); cdcd retries until then."
    case "NOREPLICAS":
      "Bring its replicas back, or CONFIG SET min-replicas-to-write 0; cdcd retries until then."
    default: "Mend that, or wait for it: cdcd retries until then."
    }
  }
}
