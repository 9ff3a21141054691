import Glibc

/// Why a file could not be read as text, as a phrase without the file's content.
struct TextFileError: Error, Equatable {
  var reason: String
}

/// The whole of a UTF-8 text file.
///
/// Refuses files of more than 1 MiB: no rules file or secret is that long, and /dev/zero never ends. A pipe has
/// `patience` milliseconds for each word: a daemon that reads its file again must not wait for ever.
func readTextFile(_ path: String, patience: Int32 = 5_000) throws(TextFileError) -> String {
  let limit = 1 << 20
  let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  guard descriptor >= 0 else { throw TextFileError(reason: systemError()) }
  defer { _ = close(descriptor) }
  var content: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 16_384)
  while true {
    var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    let ready = unsafe poll(&waited, 1, patience)
    if ready == 0 { throw TextFileError(reason: "a pipe into which nobody writes") }
    let count = unsafe chunk.withUnsafeMutableBytes { buffer in
      unsafe read(descriptor, buffer.baseAddress, buffer.count)
    }
    if count < 0, errno == EINTR || errno == EAGAIN { continue }
    guard count >= 0 else { throw TextFileError(reason: systemError()) }
    if count == 0 { break }
    content += chunk[..<count]
    guard content.count <= limit else { throw TextFileError(reason: "more than 1 MiB") }
  }
  guard let text = String(validating: content, as: UTF8.self) else {
    throw TextFileError(reason: "not UTF-8 text")
  }
  return text
}

/// `errno` in words.
private func systemError() -> String { unsafe String(cString: strerror(errno)) }
