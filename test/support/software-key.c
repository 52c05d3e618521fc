/* A software security key for OpenSSH's sk-api (sk-api.h, PROTOCOL.u2f): one P-256 key, whose private half is its handle. */
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/bn.h>
#include <openssl/obj_mac.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* OpenSSH looks the functions up by name and gives only these structures; see sk-api.h of OpenSSH 8.4 and later. */
struct sk_enroll_response {
    uint8_t flags;
    uint8_t *public_key; size_t public_key_len;
    uint8_t *key_handle; size_t key_handle_len;
    uint8_t *signature; size_t signature_len;
    uint8_t *attestation_cert; size_t attestation_cert_len;
    uint8_t *authdata; size_t authdata_len;
};
struct sk_sign_response {
    uint8_t flags; uint32_t counter;
    uint8_t *sig_r; size_t sig_r_len;
    uint8_t *sig_s; size_t sig_s_len;
};
struct sk_option { char *name; char *value; uint8_t required; };
struct sk_resident_key;

enum { ECDSA = 0, VERSION = 0x000a0000, GENERAL = -1, UNSUPPORTED = -2, TOUCHED = 0x01 };

static uint8_t *copy(const void *from, size_t size) {
    uint8_t *to = calloc(1, size ? size : 1);
    if (to) memcpy(to, from, size);
    return to;
}

static int number(const BIGNUM *value, uint8_t **to, size_t *size) {
    *size = BN_num_bytes(value);
    *to = calloc(1, *size);
    return *to && BN_bn2bin(value, *to) == (int)*size ? 0 : GENERAL;
}

uint32_t sk_api_version(void) { return VERSION; }

int sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_len, const char *application, uint8_t flags,
    const char *pin, struct sk_option **options, struct sk_enroll_response **response) {
    uint8_t point[65], handle[32];
    if (alg != ECDSA) return UNSUPPORTED;
    EC_KEY *key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    struct sk_enroll_response *made = calloc(1, sizeof *made);
    if (!key || !made || !EC_KEY_generate_key(key)) return GENERAL;
    EC_POINT_point2oct(EC_KEY_get0_group(key), EC_KEY_get0_public_key(key), POINT_CONVERSION_UNCOMPRESSED, point,
        sizeof point, NULL);
    BN_bn2binpad(EC_KEY_get0_private_key(key), handle, sizeof handle);
    EC_KEY_free(key);
    made->flags = flags;
    made->public_key = copy(point, made->public_key_len = sizeof point);
    made->key_handle = copy(handle, made->key_handle_len = sizeof handle);
    made->signature = copy("", made->signature_len = 0);
    made->attestation_cert = copy("", made->attestation_cert_len = 0);
    *response = made;
    return 0;
}

/* Signs SHA256(application) || flags || counter || SHA256(message). */
int sk_sign(uint32_t alg, const uint8_t *message, size_t message_len, const char *application,
    const uint8_t *handle, size_t handle_len, uint8_t flags, const char *pin, struct sk_option **options,
    struct sk_sign_response **response) {
    uint8_t signing[32 + 1 + 4 + 32], digest[32];
    if (alg != ECDSA) return UNSUPPORTED;
    EC_KEY *key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    struct sk_sign_response *made = calloc(1, sizeof *made);
    BIGNUM *secret = BN_bin2bn(handle, (int)handle_len, NULL);
    if (!key || !made || !secret || !EC_KEY_set_private_key(key, secret)) return GENERAL;
    made->flags = flags & TOUCHED;
    made->counter = 1;
    SHA256((const uint8_t *)application, strlen(application), signing);
    signing[32] = made->flags;
    memcpy(signing + 33, "\0\0\0\1", 4);
    SHA256(message, message_len, signing + 37);
    SHA256(signing, sizeof signing, digest);
    ECDSA_SIG *signature = ECDSA_do_sign(digest, sizeof digest, key);
    if (!signature) return GENERAL;
    int failed = number(ECDSA_SIG_get0_r(signature), &made->sig_r, &made->sig_r_len) ||
        number(ECDSA_SIG_get0_s(signature), &made->sig_s, &made->sig_s_len);
    ECDSA_SIG_free(signature);
    BN_free(secret);
    EC_KEY_free(key);
    *response = made;
    return failed ? GENERAL : 0;
}

int sk_load_resident_keys(const char *pin, struct sk_option **options, struct sk_resident_key ***keys, size_t *count) {
    return UNSUPPORTED;
}
