import Foundation
import Glibc

/// File descriptor 2, and what reads it.
package enum StandardError {
  /// Writes the whole text. A failure has nobody left to hear of it.
  package static func write(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
      var written = 0
      while written < bytes.count {
        guard let start = bytes.baseAddress else { return }
        let count = unsafe Glibc.write(STDERR_FILENO, start + written, bytes.count - written)
        if count < 0, errno == EINTR { continue }
        if count <= 0 { return }
        written += count
      }
    }
  }

  /// Whether systemd's journal reads it. The variable alone is inherited by children whose standard error goes
  /// elsewhere, so it is compared with the descriptor.
  ///
  /// Source: systemd.exec(5), "$JOURNAL_STREAM".
  static let isJournal: Bool = {
    guard let stream = ProcessInfo.processInfo.environment["JOURNAL_STREAM"] else { return false }
    var facts = stat()
    guard unsafe fstat(STDERR_FILENO, &facts) == 0 else { return false }
    return stream == "\(facts.st_dev):\(facts.st_ino)"
  }()
}
