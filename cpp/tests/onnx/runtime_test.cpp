#include <onnxruntime_c_api.h>

#include <catch2/catch.hpp>
#include <new>

#include "base/error.hpp"
#include "onnx/session.hpp"
#include "support.hpp"

using namespace digitvae;
using namespace digitvae::testing;

TEST_CASE("a library that does not exist is named") {
  CHECK_THROWS_WITH(Runtime::open("/nonexistent/libonnxruntime.so"), Catch::Contains("/nonexistent/libonnxruntime.so"));
  CHECK_THROWS_AS(Runtime::open("/nonexistent/libonnxruntime.so"), RuntimeLibraryError);
}

TEST_CASE("a library that is not ONNX Runtime is refused") {
  CHECK_THROWS_WITH(Runtime::open("libm.so.6"), Catch::Contains("is not the ONNX Runtime library"));
}

TEST_CASE("a library that is too old is refused, naming both versions") {
  CHECK_THROWS_WITH(Runtime::open(environment("DIGITVAE_TEST_TOO_OLD")),
                    Catch::Contains("version 1.2.3") && Catch::Contains("needs 1.20 or newer"));
}

TEST_CASE("a session tells the names, columns and metadata of its model") {
  const std::string model = read_model("encoder.onnx");
  const Session session(open_runtime(), as_network(model));
  REQUIRE(session.inputs().size() == 1);
  CHECK((session.inputs()[0] == TensorSpec{"x", "float32", {-1, 784}}));
  REQUIRE(session.outputs().size() == 2);
  CHECK((session.outputs()[0] == TensorSpec{"mu", "float32", {-1, 40}}));
  CHECK(session.outputs()[1].name == "logvar");
  CHECK(session.metadata().at("digitvae.latent_dim") == "40");
  CHECK(session.metadata().count("digitvae.nothing") == 0);
}

TEST_CASE("bytes that are no ONNX model are a ModelError at every length") {
  const std::shared_ptr<const Runtime> runtime = open_runtime();
  const std::string model = read_model("decoder.onnx");
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{1}, std::size_t{1000}, model.size() / 2, model.size() - 1}) {
    CHECK_THROWS_AS(Session(runtime, as_network(model.substr(0, length))), ModelError);
  }
  const std::string junk(4096, '\xff');
  CHECK_THROWS_AS(Session(runtime, as_network(junk)), ModelError);
}

TEST_CASE("a session keeps its runtime alive") {
  const std::string model = read_model("decoder.onnx");
  std::shared_ptr<const Runtime> runtime = open_runtime();
  const Session session(runtime, as_network(model));
  runtime.reset();
  CHECK(session.metadata().at("digitvae.schema") == "digitvae-bundle/1");
}

TEST_CASE("what ONNX Runtime says when memory is exhausted is std::bad_alloc, and anything else is not") {
  const std::shared_ptr<const Runtime> runtime = open_runtime();
  const auto failed = [&](const char* message) { return runtime->api().CreateStatus(ORT_FAIL, message); };
  for (const char* const message :
       {"std::bad_alloc", "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 1"}) {
    CHECK_THROWS_AS(runtime->message_of(failed(message)), std::bad_alloc);
    CHECK_THROWS_AS(runtime->check(failed(message), "running"), std::bad_alloc);
  }
  CHECK(runtime->message_of(failed("a wrong shape")) == "a wrong shape");
  CHECK(runtime->message_of(failed("")) == "unknown error");
  CHECK_THROWS_WITH(runtime->check(failed("a wrong shape"), "running"),
                    Catch::StartsWith("running: a wrong shape (ONNX Runtime "));
}
